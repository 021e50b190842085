"""Telling people that a workflow is in trouble: at most once an hour for each workflow."""

from datetime import timedelta

from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from core.access import Role
from core.accounts.models import User
from core.notifications.models import Notification
from core.workflows.models import Workflow, WorkflowExecution

QUIET = timedelta(hours=1)


def alert(workflow: Workflow, title: str, body: str, *, run: WorkflowExecution | None = None) -> None:
    """Notify whom the workflow acts as, or the administrators, unless that was done within the hour."""
    recent = Q(alerted_at__gt=timezone.now() - QUIET)
    due = Workflow.objects.filter(~recent | Q(alerted_at=None), pk=workflow.pk)
    if not due.update(alerted_at=Now()):
        return
    Notification.objects.notify(
        [
            Notification(
                recipient_id=user_id,
                type="workflow_failed",
                title=title[:300],
                body=body,
                entity=run.entity if run else "",
                object_id=run.object_id if run else None,
            )
            for user_id in recipients(workflow)
        ]
    )


def recipients(workflow: Workflow) -> list[int]:
    """Whom it acts as and who made it, if active; else the active administrators."""
    own = User.objects.filter(is_active=True, pk__in=[workflow.run_as_id or 0, workflow.created_by_id or 0])
    found = list(own.order_by("pk").values_list("pk", flat=True))
    admins = User.objects.filter(Q(role=Role.ADMIN) | Q(is_superuser=True), is_active=True)
    return found or list(admins.order_by("pk").values_list("pk", flat=True))
