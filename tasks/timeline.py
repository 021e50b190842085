"""Tasks on the timelines of what they are about."""

from typing import Any

from django.db.models import Q, QuerySet

from core.activities import further_records
from core.api.schema.parts import of_columns
from core.changes.timeline import RecordRef, TimelineSource
from core.entities.blanking import seen_by
from tasks.models import RELATED_RECORDS, Task, TaskRecord

DATA_FIELDS = ("task_type", "status", "priority", "due_date", "assigned_to", "completed_at", "outcome")


def tasks(subject: RecordRef) -> list[QuerySet]:
    """The tasks about the record that the reader sees, by when they were made."""
    if subject.entity.name not in RELATED_RECORDS:
        return []
    seen, first = seen_by(subject.user, Task.objects.all()), Q(**{f"{subject.entity.name}_id": subject.pk})
    other = Q(**{f"{subject.entity.name}_id": None}) | ~first
    return [seen.filter(first), seen.filter(further_records.on_timeline(TaskRecord, subject), other)]


def shown(task: Task, subject: RecordRef) -> dict[str, Any]:
    data = {name: getattr(task, name) for name in DATA_FIELDS if name != "assigned_to"}
    return {
        "type": task.task_type,
        "title": task.title,
        "data": data | {"assigned_to": task.assigned_to_id},
    }


TASKS = TimelineSource(
    "task",
    tasks,
    shown,
    of_columns(Task, *DATA_FIELDS),
    at="created_at",
    actor="created_by_id",
    type="task_type",
    by_id=True,
    resource="tasks",
)
