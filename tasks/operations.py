"""Completing a task, and what follows from it."""

from typing import Any

from django.utils import timezone

from core.entities import Entity, writing
from core.entities.relation_transfer import RelationMove
from core.errors import ConflictError
from tasks.models import SUBJECTS, Task, TaskStatus
from tasks.recurrence import next_due

COPIED = (
    "title", "description", "task_type", "priority", "recurrence", "time_zone", "tags", "custom_fields",
    "owner_id", "assigned_to_id", *(f"{name}_id" for name in SUBJECTS),
)  # fmt: skip


def complete(entity: Entity, task: Task, user: Any, outcome: str = "") -> Task | None:
    """Mark a locked task done; returns the next one of its series, if there is one.

    Raises ConflictError where it is completed or cancelled already.
    """
    if task.status in (TaskStatus.COMPLETED, TaskStatus.CANCELLED):
        raise ConflictError(f"The task is {task.status} already.", code="not_open")
    done = {"status": TaskStatus.COMPLETED, "completed_at": timezone.now()}
    writing.save_clean(entity, task, done | ({"outcome": outcome} if outcome else {}), user)
    return _next_of_series(entity, task, user)


def _next_of_series(entity: Entity, task: Task, user: Any) -> Task | None:
    if not task.recurrence or task.due_date is None:
        return None
    first = task.series or task
    due = next_due(task.recurrence, first.due_date or task.due_date, task.due_date, task.time_zone)
    if due is None:
        return None
    values = {name: getattr(task, name) for name in COPIED}
    if task.reminder_at is not None:
        values["reminder_at"] = due - (task.due_date - task.reminder_at)
    return writing.create_clean(entity, values | {"due_date": due, "series_id": first.pk}, user)


def move_tasks(move: RelationMove) -> int:
    """The tasks about one record are about the other from now on."""
    (source, source_id), (target, target_id) = move.source, move.target
    if source not in SUBJECTS or target not in SUBJECTS:
        return 0
    rows = Task.objects.filter(**{f"{source}_id": source_id})
    return rows.update(**{f"{source}_id": None, f"{target}_id": target_id})
