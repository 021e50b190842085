"""The declaration of tasks: everything generic reads it."""

from datetime import date, datetime
from typing import Any, ClassVar

from django.db.models import BooleanField, Case, Q, Value, When
from django.db.models.functions import Now

from core.entities import column, columns, derived
from core.entities.entity import Entity, id_column, record_columns, register
from core.entities.field_types import Boolean, Date, DateTime, trimmed
from tasks.models import Task
from tasks.querysets import OPEN
from tasks.rules import (
    DateOnly,
    about_one,
    completed_once,
    due_by_the_end_of_the_day,
    in_a_zone,
    recurring,
    series_goes_on,
)

DAY = Date()


class DueDate(DateTime):
    """A moment, or a date alone, which stands for that whole day (rules.due_by_the_end_of_the_day)."""

    takes_days: ClassVar[bool] = True

    def to_internal_value(self, data: Any) -> Any:
        if _is_date(data):
            return DateOnly.of(DAY.to_internal_value(data))
        return super().to_internal_value(data)


def _is_date(data: Any) -> bool:
    text = isinstance(data, str) and len(trimmed(data)) == len("2030-01-31")
    return text or (isinstance(data, date) and not isinstance(data, datetime))


IS_OVERDUE = Case(
    When(OPEN & Q(due_date__lt=Now()), then=Value(True)), default=Value(False), output_field=BooleanField()
)

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
        open_filter=OPEN,
        rules=(about_one, in_a_zone, due_by_the_end_of_the_day, recurring, series_goes_on, completed_once),
        always_shown=(
            *("task_type", "status", "priority", "due_date", "is_overdue", "reminder_at", "time_zone"),
            *("recurrence", "recurrence_id", "completed_at"),
        ),
        example={
            "title": "Call Ada",
            "task_type": "call",
            "due_date": "2030-01-31T09:00:00Z",
            "lead": 1,
            "recurrence": "FREQ=WEEKLY;BYDAY=MO",
        },
    )
)
