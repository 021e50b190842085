"""What holds for tasks that come from other systems' files."""

from django.utils import timezone

from tasks.models import TaskStatus
from tasks.rules import Before, Values


def completed_when_it_was(values: Values, before: Before) -> None:
    """A task that comes completed was completed when its file says, not today."""
    at = values.pop("completed_at", None)
    was_completed = before is not None and before["status"] == TaskStatus.COMPLETED
    if at is not None and values.get("status") == TaskStatus.COMPLETED and not was_completed:
        values["completed_at"] = min(at, timezone.now())
