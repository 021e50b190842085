"""What must hold between the fields of a task, whoever writes it."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any, Self
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from core.accounts.models import User, check_time_zone
from core.changes import current_audit_context
from core.errors import FieldIssue, InvalidError, refused_as
from tasks.models import RELATED_RECORDS, TaskStatus
from tasks.recurrence import checked, wall_time

# A day ends with the last second that it has for itself.
END_OF_DAY = time(23, 59, 59)

Values = dict[str, Any]
Before = Mapping[str, Any] | None


class DateOnly(datetime):
    """A day given without a time; as a moment it is that day's midnight in UTC."""

    @classmethod
    def of(cls, day: date) -> Self:
        return cls(day.year, day.month, day.day, tzinfo=UTC)


def about_one(values: Values, before: Before) -> None:
    """A task is about one record at most."""
    kept = before or {}
    ids = {name: values.get(f"{name}_id", kept.get(f"{name}_id")) for name in RELATED_RECORDS}
    given = [name for name, pk in ids.items() if pk is not None]
    if len(given) > 1:
        message = _("A task is about one record; these are given: %(names)s.") % {"names": ", ".join(given)}
        raise InvalidError([FieldIssue(name, "only_one", message) for name in given])


def in_a_zone(values: Values, before: Before) -> None:
    """The zone is an IANA name; without one it is that of whoever writes."""
    if values.get("time_zone"):
        try:
            check_time_zone(values["time_zone"])
        except ValidationError as error:
            raise InvalidError.of("time_zone", error.messages[0]) from error
    elif "time_zone" in values:
        values["time_zone"] = before["time_zone"] if before else _zone_of_writer()


def _zone_of_writer() -> str:
    cache = current_audit_context().cache
    if "writer_zone" not in cache:
        found = (
            User.objects.filter(pk=current_audit_context().actor_id)
            .values_list("time_zone", flat=True)
            .first()
        )
        cache["writer_zone"] = found or "UTC"
    return cache["writer_zone"]


def due_by_the_end_of_the_day(values: Values, before: Before) -> None:
    """A due date without a time is the end of that day, where the writer is."""
    day = values.get("due_date")
    if not isinstance(day, DateOnly):
        return
    zone = ZoneInfo(current_audit_context().time_zone or _zone_of_automation(values, before))
    try:
        values["due_date"] = datetime.combine(day, END_OF_DAY, zone).astimezone(UTC)
    except OverflowError:  # the last day of the calendar
        values["due_date"] = datetime.combine(day, END_OF_DAY, UTC)


def _zone_of_automation(values: Values, before: Before) -> str:
    """Where a day is meant that nobody in particular writes down: the assignee's zone, else the schedule's,
    else the task's own."""
    kept = before or {"assigned_to_id": None, "time_zone": "UTC"}
    assignee = values.get("assigned_to_id", kept["assigned_to_id"])
    found = User.objects.filter(pk=assignee).values_list("time_zone", flat=True).first() if assignee else None
    return found or current_audit_context().schedule_zone or values.get("time_zone") or kept["time_zone"]


def recurring(values: Values, before: Before) -> None:
    """A series has a rule that can be read and names a day, and a first due date to count from."""
    if not {"recurrence", "due_date", "time_zone"} & values.keys():
        return
    kept = before or {"recurrence": "", "due_date": None, "time_zone": "UTC"}
    rule, due, zone = (values.get(name, kept[name]) for name in ("recurrence", "due_date", "time_zone"))
    if not rule:
        return
    if not due:
        raise InvalidError.of("due_date", _("A recurring task needs a due date."), "required")
    # An occurrence that is moved moves neither the series nor its start.
    start = before.get("series_start") or due if before and rule == before["recurrence"] else due
    with refused_as("due_date"):
        first = wall_time(start, ZoneInfo(str(zone)))
    with refused_as("recurrence"):
        rule = checked(rule, first)
    if "recurrence" in values:
        values["recurrence"] = rule


def series_goes_on(values: Values, before: Before) -> None:
    """A recurring task is completed by the verb, which makes the next one: no series ends unnoticed."""
    done = values.get("status") == TaskStatus.COMPLETED
    if before is None or not done or before["status"] == TaskStatus.COMPLETED:
        return
    if values.get("recurrence", before["recurrence"]):
        message = _('Use "complete" for a recurring task, so that the next one is made.')
        raise InvalidError.of("status", message, "use_complete")


def completed_once(values: Values, before: Before) -> None:
    """`completed_at` follows the status; an import says when that was."""
    status = values.get("status")
    if status is None or (before and status == before["status"]):
        return
    # One moment for all that are completed together, so that they are written together.
    now = current_audit_context().cache.setdefault("completed_at", timezone.now())
    values["completed_at"] = values.get("completed_at", now) if status == TaskStatus.COMPLETED else None
