"""Mails and workflow runs on a record's timeline."""

from typing import Any

from django.db.models import QuerySet

from core.api.schema.parts import ID, TEXT, answer_of, array_of, of_columns
from core.changes.timeline import RecordRef, TimelineSource, register
from core.mail.models import EmailMessage
from core.workflows.models import WorkflowExecution, WorkflowStep

STEP_FIELDS = ("path", "type", "status", "started_at", "finished_at")


def _mails(subject: RecordRef) -> QuerySet:
    """Who sees the record sees what was sent about it."""
    return EmailMessage.objects.filter(entity=subject.entity.name, object_id=subject.pk)


def _shown(row: EmailMessage, subject: RecordRef) -> dict[str, Any]:
    data = {
        "to": row.to,
        "cc": row.cc,
        "status": row.status,
        "sent_at": row.sent_at,
        "body": row.text or row.html,
    }
    return {"type": "email", "title": row.subject, "data": data}


def _runs(subject: RecordRef) -> QuerySet:
    rows = WorkflowExecution.objects.filter(entity=subject.entity.name, object_id=subject.pk)
    return rows.select_related("workflow").prefetch_related("steps")


def _shown_run(run: WorkflowExecution, subject: RecordRef) -> dict[str, Any]:
    """What ran and how far it came; what its steps were given is for those who write automation."""
    steps = [{name: getattr(step, name) for name in STEP_FIELDS} for step in run.steps.all()]
    data = {"workflow": run.workflow_id, "execution_id": run.pk, "status": run.status, "steps": steps}
    return {"type": run.status, "title": run.workflow.name, "data": data}


MAIL_DATA = {"to": array_of(TEXT), "cc": array_of(TEXT), **of_columns(EmailMessage, "status", "sent_at")}
RUN_DATA = {
    "workflow": ID,
    "execution_id": ID,
    **of_columns(WorkflowExecution, "status"),
    "steps": array_of(answer_of(of_columns(WorkflowStep, *STEP_FIELDS))),
}

# Both by id: created_at of rows of one record follows it, and the indexes end in it.
register(
    TimelineSource(
        "email",
        _mails,
        _shown,
        {**MAIL_DATA, "body": TEXT},
        at="created_at",
        actor="sender_id",
        by_id=True,
    )
)
register(
    TimelineSource(
        "workflow",
        _runs,
        _shown_run,
        RUN_DATA,
        at="created_at",
        actor="requested_by_id",
        by_id=True,
        type="status",
        resource="executions",
    )
)
