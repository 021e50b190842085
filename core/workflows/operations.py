"""What people do with runs and workflows: retry, rerun, cancel, pause, resume.

Call inside `audit_context`.
"""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext

from core import jobs
from core.errors import ConflictError
from core.labels import label
from core.workflows.matching import RUN_JOB
from core.workflows.models import Workflow, WorkflowExecution, WorkflowStep
from core.workflows.starting import start

Status = WorkflowExecution.Status
BULK_LIMIT = 10_000
_REQUEUED = {
    "status": Status.QUEUED,
    "attempt": 0,
    "lost_leases": 0,
    "error": "",
    "error_code": "",
    "finished_at": None,
}


def _runs(ids: Sequence[int]) -> QuerySet[WorkflowExecution]:
    return WorkflowExecution.objects.filter(pk__in=ids)


def retry(run: WorkflowExecution) -> None:
    """Go on from the step that failed; what was done stays done. Raises ConflictError unless it failed.

    It no longer waits for other runs of its record: later ones have run already.
    """
    rows = _runs([run.pk]).filter(status__in=WorkflowExecution.RETRYABLE)
    if not rows.update(**_REQUEUED, due_at=Now(), in_line=False):
        raise ConflictError(
            gettext("Only a failed run is retried; this one is %(status)s.") % {"status": _status(run)},
            code="not_failed",
        )
    jobs.enqueue(RUN_JOB)


def retry_many(runs: QuerySet[WorkflowExecution]) -> int:
    """Retry the failed ones of a query, up to BULK_LIMIT; returns how many."""
    ids = list(
        runs.filter(status__in=WorkflowExecution.RETRYABLE)
        .order_by("pk")
        .values_list("pk", flat=True)[:BULK_LIMIT]
    )
    changed = (
        _runs(ids)
        .filter(status__in=WorkflowExecution.RETRYABLE)
        .update(**_REQUEUED, due_at=Now(), in_line=False, priority=WorkflowExecution.Priority.BULK)
    )
    jobs.enqueue(RUN_JOB)
    return changed


def _status(run: WorkflowExecution) -> str:
    stored = WorkflowExecution.objects.values_list("status", flat=True).get(pk=run.pk)
    return label(stored)


def rerun(run: WorkflowExecution, user: Any) -> WorkflowExecution:
    """A new run of the workflow's present version for the same event, linked by `retry_of`."""
    workflow = run.workflow
    if not workflow.is_active:
        raise ConflictError(
            gettext("The workflow is %(status)s; activate it first.") % {"status": label(workflow.status)},
            code="not_active",
        )
    made, _ = start(
        workflow,
        f"rerun:{run.pk}:{uuid4().hex}",
        entity=run.entity,
        object_id=run.object_id,
        data=run.trigger_data,
        change_id=run.change_id,
        retry_of_id=run.pk,
        requested_by_id=user.pk,
        in_line=False,
    )
    jobs.enqueue(RUN_JOB)
    return made


def cancel(run: WorkflowExecution) -> None:
    """No step starts after this. Raises ConflictError for a run that has ended."""
    rows = _runs([run.pk]).filter(status__in=(*WorkflowExecution.LIVE, Status.HELD))
    if not rows.update(status=Status.CANCELLED, finished_at=timezone.now()):
        raise ConflictError(
            gettext("The run is %(status)s already.") % {"status": _status(run)}, code="ended"
        )
    steps = WorkflowStep.objects.filter(execution_id=run.pk)
    steps.filter(status__in=(WorkflowStep.Status.WAITING, WorkflowStep.Status.RETRYING)).update(
        status=WorkflowStep.Status.CANCELLED, finished_at=timezone.now()
    )


def pause(workflow: Workflow) -> None:
    """Start no new runs, and hold those under way before their next step."""
    if workflow.status != Workflow.Status.ACTIVE:
        raise ConflictError(
            gettext("Only an active workflow is paused; this one is %(status)s.")
            % {"status": label(workflow.status)}
        )
    workflow.status = Workflow.Status.PAUSED
    workflow.save(update_fields=["status", "updated_at"])


def resume(workflow: Workflow) -> int:
    """Activate, and queue held runs again; returns how many were held."""
    workflow.status = Workflow.Status.ACTIVE
    workflow.save(update_fields=["status", "updated_at"])
    return release_held_runs(workflow)


def release_held_runs(workflow: Workflow) -> int:
    """Queue the workflow's held runs again; returns how many."""
    return _release(WorkflowExecution.objects.filter(workflow=workflow))


def release_runs_of_reactivated() -> int:
    """The same for runs of active workflows whose principal had been deactivated and is back."""
    workflow = {"status": Workflow.Status.ACTIVE, "archived_at": None, "run_as__is_active": True}
    rows = WorkflowExecution.objects.filter(error_code="principal_inactive")
    return _release(rows.filter(workflow__in=Workflow.objects.filter(**workflow)))


def _release(rows: QuerySet) -> int:
    held = rows.filter(status=Status.HELD)
    count = held.update(status=Status.QUEUED, error="", error_code="", due_at=Now())
    if count:
        jobs.enqueue(RUN_JOB)
    return count
