"""Tasks on the timelines of what they are about."""

from typing import Any

from django.db.models import QuerySet

from core.changes.timeline import RecordRef, TimelineSource
from tasks.models import RELATED_RECORDS, Task


def tasks(subject: RecordRef) -> QuerySet:
    """The record's tasks that the reader sees, by when they were made."""
    if subject.entity.name not in RELATED_RECORDS:
        return Task.objects.none()
    return Task.objects.visible_to(subject.user).filter(**{f"{subject.entity.name}_id": subject.pk})


def shown(task: Task, subject: RecordRef) -> dict[str, Any]:
    names = ("task_type", "status", "priority", "due_date", "assigned_to_id", "completed_at", "outcome")
    return {
        "type": task.task_type,
        "title": task.title,
        "data": {name.removesuffix("_id"): getattr(task, name) for name in names},
    }


TASKS = TimelineSource(
    "task",
    tasks,
    shown,
    at="created_at",
    actor="created_by_id",
    type="task_type",
    by_id=True,
    resource="tasks",
)
