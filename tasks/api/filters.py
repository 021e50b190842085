"""What lists of tasks can be filtered by, besides their columns."""

from django.db.models import Q, QuerySet

from core.access import scopes
from core.conditions.filters import EntityFilterSet, TypedFilter
from core.entities import entities
from core.entities.field_types import Boolean, Reference
from tasks.entity import TASK
from tasks.querysets import OPEN, due_today, overdue
from tasks.records import about


def _about(entity: str) -> TypedFilter:
    return TypedFilter(
        Reference(entity), method="filter_about", help_text=f"About this {entity}, first or further."
    )


class TaskFilterSet(EntityFilterSet):
    overdue = TypedFilter(Boolean(), method="filter_overdue", help_text="Open and past its due time.")
    due_today = TypedFilter(
        Boolean(), method="filter_due_today", help_text="Open and due today, in your time zone."
    )
    open = TypedFilter(Boolean(), method="filter_open", help_text="Neither completed nor cancelled.")

    any_lead = _about("lead")
    any_contact = _about("contact")
    any_company = _about("company")
    any_opportunity = _about("opportunity")

    class Meta:
        entity = TASK

    def filter_about(self, queryset: QuerySet, name: str, value: int) -> QuerySet:
        entity = entities[name.removeprefix("any_")]
        scopes.require(self.user, entity.plural)
        seen = entity.visible_to(self.user).filter(pk=value).exists()
        first = Q(**{entity.name: value})
        return queryset.filter(about(entity.name, [value]) if seen else first)

    def filter_overdue(self, queryset: QuerySet, name: str, value: bool) -> QuerySet:
        return queryset.filter(_or_not(overdue(), value))

    def filter_due_today(self, queryset: QuerySet, name: str, value: bool) -> QuerySet:
        return queryset.filter(_or_not(due_today(self.user), value))

    def filter_open(self, queryset: QuerySet, name: str, value: bool) -> QuerySet:
        return queryset.filter(OPEN if value else ~OPEN)


def _or_not(condition: Q, wanted: bool) -> Q:
    """What is open and due so, or all others; NOT over a null due date would be neither true nor false."""
    return condition if wanted else ~OPEN | Q(due_date=None) | ~condition
