"""Completing a task, changing one or all to come of its series, and what follows from it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from core.activities import further_records
from core.entities import Entity, writing
from core.entities.cleaning import clean, refuse_out_of_reach
from core.entities.references import existing_ids
from core.entities.relation_transfer import RelationMove
from core.errors import ConflictError, FieldIssue, InvalidError, refused_as
from core.labels import label
from tasks.models import RELATED_RECORDS, Task, TaskRecord, TaskStatus
from tasks.recurrence import next_due, rest_of

# What an occurrence has from the one before it.
COPIED = (
    "title", "description", "task_type", "priority", "recurrence", "time_zone", "tags", "custom_fields",
    "owner_id", "assigned_to_id", *(f"{name}_id" for name in RELATED_RECORDS),
)  # fmt: skip
# One occurrence has none of its own.
OF_THE_SERIES = ("recurrence", "time_zone")


def complete(entity: Entity, task: Task, user: Any, outcome: str = "") -> Task | None:
    """Mark a locked task done; returns the next one of its series, if there is one.

    Raises ConflictError where it is completed or cancelled already.
    """
    _check_open(task)
    refuse_out_of_reach(entity.for_user(user), ["outcome"] if outcome else [])
    done = {"status": TaskStatus.COMPLETED, "completed_at": timezone.now()}
    writing.save_clean(entity, task, done | ({"outcome": outcome} if outcome else {}), user)
    return _next_of_series(entity, task, user)


def update_occurrence(entity: Entity, task: Task, data: Mapping[str, Any], user: Any) -> None:
    """Change this one of a series: those that follow are as the series is.

    Raises ConflictError where it is of no series or over, InvalidError.
    """
    _check_in_series(task)
    wrong = [name for name in OF_THE_SERIES if name in data]
    if wrong:
        message = _("One occurrence has none of its own; use update_following.")
        raise InvalidError([FieldIssue(name, "of_the_series", message) for name in wrong])
    values = clean(entity, data, user=user, before=writing.values_of(task), partial=True)
    changed = [name for name in COPIED if name in values and values[name] != getattr(task, name)]
    series = {name: getattr(task, name) for name in changed} | task.series_values
    writing.save_clean(entity, task, values | {"series_values": series}, user)


def update_following(entity: Entity, task: Task, data: Mapping[str, Any], user: Any) -> None:
    """Change this one of a series and all that follow it. Another date or rule begins a series of its own
    with this one; of a COUNT what is left of it remains.

    Raises ConflictError where it is of no series or over, InvalidError.
    """
    _check_in_series(task)
    values = clean(entity, data, user=user, before=writing.values_of(task), partial=True)
    values["series_values"] = {n: v for n, v in task.series_values.items() if n not in values}
    if any(name in values and values[name] != getattr(task, name) for name in (*OF_THE_SERIES, "due_date")):
        values |= _series_from(task, values)
    writing.save_clean(entity, task, values, user)


def _series_from(task: Task, values: Mapping[str, Any]) -> dict[str, Any]:
    """The series that begins with `task` as it will be."""
    start, zone = values.get("due_date", task.due_date), values.get("time_zone", task.time_zone)
    begun = {"series_start": start, "recurrence_id": start}
    if task.reminder_before is not None and "reminder_at" not in values:
        begun["reminder_at"] = start - task.reminder_before
    if "recurrence" in values and values["recurrence"] != task.recurrence:
        return begun
    with refused_as("recurrence"):
        return begun | {"recurrence": _rest_of(task, start, zone)}


def _rest_of(task: Task, start: datetime, zone: str) -> str:
    """The rule of what is left of the task's series, which goes on at `start`."""
    if task.series_start is None or task.recurrence_id is None:
        return task.recurrence
    return rest_of(task.recurrence, task.series_start, task.recurrence_id, start, zone)


def _check_open(task: Task) -> None:
    if task.status in (TaskStatus.COMPLETED, TaskStatus.CANCELLED):
        raise ConflictError(
            _("The task is %(status)s already.") % {"status": label(task.status)}, code="not_open"
        )


def _check_in_series(task: Task) -> None:
    _check_open(task)
    if not task.recurrence or task.recurrence_id is None:
        raise ConflictError(_("The task is of no series."), code="no_series")


def _next_of_series(entity: Entity, task: Task, user: Any) -> Task | None:
    if not task.recurrence or task.series_start is None or task.recurrence_id is None:
        return None
    due = next_due(task.recurrence, task.series_start, task.recurrence_id, task.time_zone)
    if due is None:
        return None
    values = {name: getattr(task, name) for name in COPIED} | task.series_values
    following = writing.create_clean(entity, values | _people(values, user) | _place(task, due), user)
    further_records.copy(TaskRecord, task, following)
    return following


def _place(task: Task, due: datetime) -> dict[str, Any]:
    reminder = None if task.reminder_before is None else due - task.reminder_before
    return {
        "due_date": due,
        "reminder_at": reminder,
        "series_id": task.series_id or task.pk,
        "series_start": task.series_start,
        "recurrence_id": due,
    }


def _people(values: Mapping[str, Any], user: Any) -> dict[str, Any]:
    """Who the next one belongs to: nobody who was deactivated meanwhile."""
    owner, assignee = values["owner_id"], values["assigned_to_id"]
    active = existing_ids("user", [pk for pk in (owner, assignee) if pk], None)
    kept = [pk for pk in (owner, assignee) if pk in active]
    owner = kept[0] if kept else getattr(user, "pk", None)
    return {
        "owner_id": owner,
        "assigned_to_id": assignee if assignee in active or assignee is None else owner,
    }


def move_tasks(move: RelationMove) -> int:
    """The tasks about one record are about the other from now on."""
    (source, source_id), (target, target_id) = move.source, move.target
    if source not in RELATED_RECORDS or target not in RELATED_RECORDS:
        return 0
    rows = Task.objects.filter(**{f"{source}_id": source_id})
    moved = rows.update(**{f"{source}_id": None, f"{target}_id": target_id})
    return moved + further_records.move(TaskRecord, move)
