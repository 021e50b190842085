"""What lists of companies and contacts can be filtered by, besides their columns."""

from django.db.models import Q, QuerySet

from contacts.api.company_suggestions import CompanySuggestionFilterSet
from contacts.entity import COMPANY, CONTACT
from core.conditions.filters import EntityFilterSet, TypedFilter
from core.entities.field_types import Email


class CompanyFilterSet(EntityFilterSet):
    class Meta:
        entity = COMPANY


class ContactFilterSet(CompanySuggestionFilterSet):
    any_email = TypedFilter(
        Email(),
        method="filter_any_email",
        reads=("email", "additional_emails"),
        help_text="With this address, primary or not.",
    )

    class Meta:
        entity = CONTACT

    def filter_any_email(self, queryset: QuerySet, name: str, value: str) -> QuerySet:
        return queryset.filter(Q(email=value) | Q(additional_emails__contains=[value]))
