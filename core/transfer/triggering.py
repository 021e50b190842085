"""Workflows that the end of an import starts, in the transaction that ends it: each once per import."""

from typing import Any

from django.db.models import QuerySet

from core import jobs
from core.accounts.models import User
from core.entities import entities
from core.transfer.models import ImportJob
from core.transfer.report import OUTCOMES
from core.workflows.matching import RUN_JOB
from core.workflows.models import Workflow, WorkflowExecution
from core.workflows.starting import start

TRIGGER = "import_finished"


def workflows_of_import_end(entity: str) -> QuerySet[Workflow]:
    """The active workflows that the end of an import of this entity starts."""
    rows = Workflow.objects.filter(status=Workflow.Status.ACTIVE, archived_at=None, trigger_type=TRIGGER)
    return rows.filter(entity__in=("", entity))


def start_workflows(job: ImportJob) -> int:
    """Start what listens for the end of this import; returns how many runs are new.

    An undoing, a rehearsal and an import that asked for no automation start nothing.
    """
    options = job.settings.get("options", {})
    if job.kind != ImportJob.Kind.IMPORT or options.get("dry_run") or options.get("automation") == "suppress":
        return 0
    started = 0
    for workflow in workflows_of_import_end(job.entity).select_related("run_as").order_by("id"):
        if _wanted(workflow, job) and _may_know(workflow.run_as, job):
            priority = WorkflowExecution.Priority.EVENT
            started += start(workflow, f"import:{job.pk}", priority=priority, data=figures_of(job))[1]
    if started:
        jobs.enqueue(RUN_JOB)
    return started


def _wanted(workflow: Workflow, job: ImportJob) -> bool:
    outcome = workflow.trigger_conditions.get("outcome")
    return not outcome or outcome == ("succeeded" if job.success else "failed")


def _may_know(user: User | None, job: ImportJob) -> bool:
    """Whether the one a workflow acts as may know of this import: the importer, those above them, the system.
    One who was deactivated is asked as if they were not: the run is held, not lost."""
    if user is None or user.pk == job.user_id:
        return True
    user.is_active = True
    known = User.policy.details_of(user)
    return known is None or job.user_id in known


def figures_of(job: ImportJob) -> dict[str, Any]:
    """What a run reads as `payload`."""
    return {
        "import_id": job.pk,
        "resource": entities[job.entity].plural,
        "file_name": job.file_name,
        "status": job.status,
        "success": bool(job.success),
        "message": job.message,
        "user_id": job.user_id,
        "username": job.user.get_username(),
        **{name: getattr(job, name) for name in ("read", *OUTCOMES)},
    }
