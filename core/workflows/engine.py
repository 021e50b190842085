"""Runs that are due: claimed by a Celery task, by the sweep, or by `manage.py run_automation` alone."""

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.db.models.functions import Now
from django.utils.translation import gettext

from core import jobs
from core.changes.context import DISPATCH_JOB, current_audit_context
from core.entities import Entity, entities
from core.entities.field_types import Integer
from core.errors import ConflictError, InvalidError, refused_as
from core.labels import label
from core.mail.models import EmailMessage
from core.webhooks.models import WebhookDelivery
from core.workflows import claiming, limits, storable
from core.workflows.claiming import Claim
from core.workflows.models import Workflow, WorkflowExecution
from core.workflows.starting import Priority, present_version, start
from core.workflows.stepping import Worker
from core.workflows.triggers import triggers
from core.workflows.triggers.schedule_triggers import InboundTrigger

# A worker that has run this long hands over to the next message, so that one task never meets a time limit.
TURN_S = 45.0
BIG = Integer(min_value=1, max_value=2**63 - 1)


def worker_name() -> str:
    """This thread on this machine; part of every lease."""
    return f"{socket.gethostname()[:40]}/{os.getpid()}/{threading.get_native_id()}"


def run_due(seconds: float = TURN_S, stopped: Callable[[], bool] = lambda: False) -> int:
    """Run what is due until nothing is left, time is up or `stopped`; returns how many runs were claimed."""
    until, total, worker = time.monotonic() + seconds, 0, worker_name()
    while not stopped():
        claims = claiming.claim(worker)
        total += _work_batches(claims, worker, stopped)
        if claims:
            _enqueue_followers()
        if not claims or time.monotonic() > until:
            break
    return total


def _work_batches(claims: list[Claim], worker: str, stopped: Callable[[], bool]) -> int:
    """Run the claimed runs, batch by batch, while half of their leases lasts; releases those that are not
    begun. Returns how many were begun."""
    batches, begun, late = claiming.batches(claims), 0, time.monotonic() + claiming.LEASE_S / 2
    for i, batch in enumerate(batches):
        alone = batch[0].lost_leases > 0
        if stopped() or (alone and i) or time.monotonic() > late:
            claiming.release(worker, [claim for rest in batches[i:] for claim in rest])
            break
        if alone:
            # Should it cost this worker its life as well, then no other run's lease.
            claiming.release(worker, [claim for rest in batches[1:] for claim in rest])
        Worker(*batch).work()
        begun += len(batch)
        if alone:
            break
    return begun


class WorkflowEngine:
    """Starting a workflow from code, as against from a change or over the API."""

    @staticmethod
    def execute_workflow(
        workflow: Workflow, trigger_data: Mapping[str, Any] | None = None
    ) -> WorkflowExecution:
        """Run `workflow` now, in this process, as far as it goes without waiting; returns the execution.

        `trigger_data` names the record (`{"lead_id": 123}`); whatever else it holds is the run's payload.
        Raises ConflictError unless the workflow is active, InvalidError for data that names no record.
        """
        run = queue_workflow(workflow, trigger_data)
        run_now(run)
        run.refresh_from_db()
        return run


def run_now(run: WorkflowExecution) -> None:
    """Execute one run as far as it goes, unless another worker has it."""
    for claim in claiming.claim(worker_name(), 1, run.pk):
        Worker(claim).work()
    _enqueue_followers()


def _enqueue_followers() -> None:
    """For what runs left behind: changes, mail, calls."""
    jobs.enqueue(DISPATCH_JOB)
    if EmailMessage.objects.filter(status=EmailMessage.Status.QUEUED, due_at__lte=Now()).exists():
        jobs.enqueue("core.tasks.send_mail")
    if WebhookDelivery.objects.filter(status=WebhookDelivery.Status.QUEUED, due_at__lte=Now()).exists():
        jobs.enqueue("core.tasks.deliver_webhooks")


def queue_workflow(
    workflow: Workflow,
    trigger_data: Mapping[str, Any] | None = None,
    *,
    key: str = "",
    requested_by: int | None = None,
) -> WorkflowExecution:
    """A queued run, started by hand. The same `key` again is the same run."""
    data = _startable(workflow, trigger_data)
    entity, object_id = record_named(data, workflow.entity)
    if object_id is None:
        _refuse_without_record(workflow)
    run, _ = start(
        workflow,
        key or f"{_by_hand()}:{uuid4().hex}",
        entity=entity,
        object_id=object_id,
        data=data,
        requested_by_id=requested_by,
    )
    return run


def queue_workflow_for(
    workflow: Workflow,
    entity: Entity,
    ids: Sequence[int],
    trigger_data: Mapping[str, Any] | None = None,
    *,
    requested_by: int | None = None,
) -> list[int]:
    """Runs by hand for many records, by one statement; returns their ids in the order of the records."""
    data = _startable(workflow, trigger_data)
    asking, version = f"{_by_hand()}:{uuid4().hex}", present_version(workflow.pk)
    priority = WorkflowExecution.Priority.BULK if len(ids) > limits.FLOOD else Priority.BY_HAND
    runs = [
        WorkflowExecution(
            workflow=workflow,
            version=version,
            event_key=f"{asking}:{pk}",
            entity=entity.name,
            object_id=pk,
            priority=priority,
            trigger_data=data | {f"{entity.name}_id": pk},
            requested_by_id=requested_by,
        )
        for pk in ids
    ]
    return [run.pk for run in WorkflowExecution.objects.bulk_create(runs)]


def _by_hand() -> str:
    """What the event keys of runs by hand begin with: of an AI client's, with its session."""
    session = current_audit_context().agent_session_id
    return f"agent:{session}" if session else "hand"


def runs_of_session(session_id: int, since: datetime) -> list[int]:
    """The runs that an AI client started by hand in a session, which began then."""
    rows = WorkflowExecution.objects.filter(created_at__gte=since)
    return list(rows.filter(event_key__startswith=f"agent:{session_id}:").values_list("pk", flat=True))


def _startable(workflow: Workflow, trigger_data: Mapping[str, Any] | None) -> dict[str, Any]:
    """The payload of a run by hand. Raises ConflictError unless the workflow is active, and InvalidError."""
    workflow.refresh_from_db(fields=["status", "archived_at", "version"])
    if not workflow.is_active:
        raise ConflictError(
            gettext("The workflow is %(status)s; activate it first.") % {"status": label(workflow.status)},
            code="not_active",
        )
    data = dict(trigger_data or {})
    storable.check(data, "")
    return data


def _refuse_without_record(workflow: Workflow) -> None:
    """A run about no record needs a trigger that may come without one. Raises InvalidError, which names what
    to send."""
    trigger = triggers.get(workflow.trigger_type)
    if trigger is None or not trigger.has_record:
        return
    if not (workflow.entity or trigger.on_changes) or isinstance(trigger, InboundTrigger):
        return
    names = [workflow.entity] if workflow.entity else entities.keys()
    wanted = " or ".join(f'{{"{name}_id": …}}' for name in names)
    raise InvalidError.of(
        f"{names[0]}_id",
        gettext("Name the record to run it on: %(wanted)s.") % {"wanted": wanted},
        "required",
    )


def record_named(data: Mapping[str, Any], model: str) -> tuple[str, int | None]:
    """The record in trigger data: `lead_id`, or `record_id` of the workflow's model. Raises InvalidError."""
    found = [(entity.name, f"{entity.name}_id") for entity in entities if f"{entity.name}_id" in data]
    if "record_id" in data and model:
        found.append((model, "record_id"))
    if len(found) > 1:
        raise InvalidError.of(found[1][1], gettext("Name one record only."))
    if not found:
        return model, None
    name, key = found[0]
    if model and name != model:
        raise InvalidError.of(
            key, gettext("This workflow is about a %(model)s.") % {"model": model}, "wrong_model"
        )
    with refused_as(key):
        return name, BIG.to_internal_value(data[key])
