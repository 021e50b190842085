"""Workflows that a request from outside starts: each has an address and a secret of its own."""

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

import orjson
from django.conf import settings
from django.utils.translation import gettext as _

from core import jobs
from core.conditions import parse, record_q
from core.entities import Entity
from core.entities.zones import record_zone
from core.errors import InvalidError, NotVisibleError
from core.outbound import sealing, signing
from core.workflows import definition, storable, templating
from core.workflows.matching import RUN_JOB
from core.workflows.models import Workflow, WorkflowExecution
from core.workflows.starting import Priority, present_version, start
from core.workflows.sweeps import matching_records

TRIGGER = "inbound_webhook"
PATH = "/api/v1/hooks/"
MAX_BODY = 256 * 1024


def hook_url(workflow: Workflow) -> str:
    """The workflow's own address; "" where it has none."""
    return f"{settings.PUBLIC_URL.rstrip('/')}{PATH}{workflow.hook_key}/" if workflow.hook_key else ""


def new_secret(workflow: Workflow) -> str:
    """Give the workflow an address, if it has none, and a new secret, which is returned this once."""
    secret = signing.new_secret()
    workflow.hook_key = workflow.hook_key or secrets.token_urlsafe(24)
    workflow.hook_secret = sealing.seal(secret)
    workflow.save(update_fields=["hook_key", "hook_secret", "updated_at"])
    return secret


def receive(key: str, headers: Mapping[str, str], body: bytes) -> WorkflowExecution | None:
    """Verify a request and queue its run; the same webhook-id again gives the same run.

    Raises NotVisibleError for an unknown address, SignatureError, InvalidError; None where the record it is
    about is not found or does not meet the conditions.
    """
    workflow = Workflow.objects.select_related("run_as").filter(hook_key=key, trigger_type=TRIGGER).first()
    if workflow is None or not workflow.hook_secret or not workflow.is_active:
        raise NotVisibleError(_("Not found."))
    if len(body) > MAX_BODY:
        raise InvalidError.of(
            "", _("A call holds at most %(value)s KiB.") % {"value": MAX_BODY // 1024}, "max_length"
        )
    message_id = signing.verify([sealing.unseal(workflow.hook_secret)], headers, body)
    payload = _payload(body)
    compiled = definition.compiled(present_version(workflow.pk).pk)
    object_id = None
    if compiled.entity is not None:
        object_id = _record(workflow, compiled.entity, compiled.settings, compiled.conditions, payload)
        if object_id is None and (compiled.settings.get("match") or compiled.conditions):
            return None
    entity = compiled.entity.name if compiled.entity else ""
    run, made = start(
        workflow,
        _event_key(message_id),
        entity=entity,
        object_id=object_id,
        priority=Priority.EVENT,
        data=payload,
    )
    if made:
        jobs.enqueue(RUN_JOB)
    return run


def _event_key(message_id: str) -> str:
    """Where an id is too long for a key its digest stands for it: ids may differ in their ends alone."""
    whole = f"hook:{message_id}"
    return whole if len(whole) <= 120 else f"hook:sha256:{hashlib.sha256(message_id.encode()).hexdigest()}"


def _payload(body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError:
        raise InvalidError.of("", _("Expected JSON."), "invalid") from None
    storable.check(found, "")
    return found if isinstance(found, dict) else {"value": found}


def _record(
    workflow: Workflow, entity: Entity, settings_: Mapping[str, Any], conditions: Any, payload: dict[str, Any]
) -> int | None:
    """The newest visible record that `match`, rendered with the payload, finds."""
    match = settings_.get("match")
    if not match:
        return None
    wanted = templating.value(match, {"payload": payload})
    rows = matching_records(entity, workflow, conditions).filter(archived_at=None)
    return (
        rows.filter(
            record_q(parse(entity.for_user(workflow.run_as), wanted), record_zone(), user=workflow.run_as)
        )
        .order_by("-pk")
        .values_list("pk", flat=True)
        .first()
    )
