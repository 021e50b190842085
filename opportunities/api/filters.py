"""What lists of opportunities can be filtered by, besides their columns."""

from django.db.models import QuerySet

from core.conditions.filters import EntityFilterSet, TypedFilter
from core.entities.field_types import Boolean
from opportunities.entity import OPPORTUNITY
from opportunities.stages import is_rotting


class OpportunityFilterSet(EntityFilterSet):
    rotting = TypedFilter(
        Boolean(), method="filter_rotting", help_text="Resting in a stage for longer than it allows."
    )

    class Meta:
        entity = OPPORTUNITY

    def filter_rotting(self, queryset: QuerySet, name: str, value: bool) -> QuerySet:
        return queryset.filter(is_rotting() if value else ~is_rotting())
