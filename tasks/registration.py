"""What tasks hand to core."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

from django.db.models import BooleanField, Case, Q, Value, When
from django.db.models.functions import Now

from core.api import routes
from core.changes import timeline
from core.demo import demo_parts
from core.entities import column, columns, derived
from core.entities.entity import Entity, NamedFilter, id_column, record_columns, register
from core.entities.field_types import Boolean, Date, DateTime, trimmed
from core.entities.ownership import COMMON_FILTERS
from core.entities.relation_transfer import relation_movers
from core.notifications.moments import remind
from core.notifications.watching import watch
from core.transfer.headers import headers_of, load, records
from tasks import (
    automation,  # noqa: F401  (triggers and actions)
    digest,  # noqa: F401  (its sections register themselves)
)
from tasks.demo import add_tasks
from tasks.demo_automation import add_workflows
from tasks.models import Task
from tasks.operations import move_tasks
from tasks.querysets import OPEN, due_today, overdue
from tasks.rules import (
    about_one,
    completed_once,
    due_by_the_end_of_the_day,
    in_a_zone,
    recurring,
    series_goes_on,
)
from tasks.timeline import TASKS

DAY = Date()


class DueDate(DateTime):
    """A moment, or a date alone, which stands for that whole day (rules.due_by_the_end_of_the_day)."""

    def to_internal_value(self, data: Any) -> Any:
        return DAY.to_internal_value(data) if _is_date(data) else super().to_internal_value(data)


def _is_date(data: Any) -> bool:
    text = isinstance(data, str) and len(trimmed(data)) == len("2030-01-31")
    return text or (isinstance(data, date) and not isinstance(data, datetime))


def _overdue(wanted: bool, user: Any) -> Q:
    # NOT over a null due date would be neither true nor false.
    return overdue() if wanted else ~OPEN | Q(due_date=None) | ~overdue()


def _due_today(wanted: bool, user: Any) -> Q:
    return due_today(user) if wanted else ~OPEN | Q(due_date=None) | ~due_today(user)


def _open(wanted: bool, user: Any) -> Q:
    return OPEN if wanted else ~OPEN


IS_OVERDUE = Case(
    When(OPEN & Q(due_date__lt=Now()), then=Value(True)), default=Value(False), output_field=BooleanField()
)

relation_movers.register("tasks", move_tasks)

TASK = register(
    Entity(
        name="task",
        plural="tasks",
        model=Task,
        display_fields=("title",),
        columns=(
            id_column(Task),
            column(Task, "title"),
            column(Task, "description", orderable=False),
            *columns(Task, "task_type", "status", "priority"),
            column(Task, "due_date", field_type=DueDate()),
            column(Task, "reminder_at"),
            # Not given means the writer's (rules.in_a_zone); the model's own default is for plain SQL.
            column(Task, "time_zone", default=""),
            *columns(
                Task, "lead", "contact", "company", "opportunity", "recurrence", "series", "recurrence_id"
            ),
            *columns(Task, "completed_at", "outcome"),
            derived("is_overdue", Boolean(), IS_OVERDUE),
            *record_columns(Task),
        ),
        filters={
            **COMMON_FILTERS,
            "overdue": NamedFilter(Boolean(), _overdue, "Open and past its due time."),
            "due_today": NamedFilter(Boolean(), _due_today, "Open and due today, in your time zone."),
            "open": NamedFilter(Boolean(), _open, "Neither completed nor cancelled."),
        },
        open_filter=OPEN,
        rules=(about_one, in_a_zone, due_by_the_end_of_the_day, recurring, series_goes_on, completed_once),
        example={
            "title": "Call Ada",
            "task_type": "call",
            "due_date": "2030-01-31T09:00:00Z",
            "lead": 1,
            "recurrence": "FREQ=WEEKLY;BYDAY=MO",
        },
    )
)

timeline.register(TASKS)
STILL_OPEN = "r.status IN ('pending', 'in_progress')"
remind("task", "reminder_at", "Reminder: ", condition=STILL_OPEN)
remind("task", "due_date", "Overdue: ", type="overdue", condition=STILL_OPEN, many="tasks are overdue")
watch("task", "status")


demo_parts.register("tasks", add_tasks)
demo_parts.register("workflows", add_workflows)

headers_of.register("task", load(*records(), Path(__file__).with_name("headers.toml")))


def _register_routes() -> None:
    from tasks.api.calendar import CalendarViewSet
    from tasks.api.views import TaskViewSet  # the views need the entity above

    routes.register("tasks", TaskViewSet)
    routes.register("calendar", CalendarViewSet)


_register_routes()
