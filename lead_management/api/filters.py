"""What lists of leads can be filtered by, besides their columns."""

from django.db.models import QuerySet

from contacts.api.company_suggestions import CompanySuggestionFilterSet
from core.conditions.filters import TypedFilter
from core.entities.field_types import Boolean
from lead_management.entity import LEAD, SCORE
from lead_management.querysets import HOT, IS_HOT


class LeadFilterSet(CompanySuggestionFilterSet):
    hot = TypedFilter(Boolean(), method="filter_hot", help_text=f"Open, with a score above {HOT}.")
    min_score = TypedFilter(
        SCORE, field_name="lead_score", lookup_expr="gte", help_text="With at least this score."
    )
    max_score = TypedFilter(
        SCORE, field_name="lead_score", lookup_expr="lte", help_text="With at most this score."
    )

    class Meta:
        entity = LEAD

    def filter_hot(self, queryset: QuerySet, name: str, value: bool) -> QuerySet:
        return queryset.filter(IS_HOT) if value else queryset.exclude(IS_HOT)
