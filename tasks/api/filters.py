"""What lists of tasks can be filtered by, besides their columns."""

from django.db.models import Q, QuerySet

from core.conditions.filters import EntityFilterSet, TypedFilter
from core.entities.field_types import Boolean
from tasks.entity import TASK
from tasks.querysets import OPEN, due_today, overdue


class TaskFilterSet(EntityFilterSet):
    overdue = TypedFilter(Boolean(), method="filter_overdue", help_text="Open and past its due time.")
    due_today = TypedFilter(
        Boolean(), method="filter_due_today", help_text="Open and due today, in your time zone."
    )
    open = TypedFilter(Boolean(), method="filter_open", help_text="Neither completed nor cancelled.")

    class Meta:
        entity = TASK

    def filter_overdue(self, queryset: QuerySet, name: str, value: bool) -> QuerySet:
        return queryset.filter(_or_not(overdue(), value))

    def filter_due_today(self, queryset: QuerySet, name: str, value: bool) -> QuerySet:
        return queryset.filter(_or_not(due_today(self.user), value))

    def filter_open(self, queryset: QuerySet, name: str, value: bool) -> QuerySet:
        return queryset.filter(OPEN if value else ~OPEN)


def _or_not(condition: Q, wanted: bool) -> Q:
    """What is open and due so, or all others; NOT over a null due date would be neither true nor false."""
    return condition if wanted else ~OPEN | Q(due_date=None) | ~condition
