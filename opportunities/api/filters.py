"""What lists of opportunities can be filtered by, besides their columns."""

from django.db.models import QuerySet

from contacts.models import Contact
from core.access import scopes
from core.conditions.filters import EntityFilterSet, TypedFilter
from core.entities.field_types import Boolean, Reference
from opportunities.deal_contacts import of_contacts
from opportunities.entity import OPPORTUNITY
from opportunities.stages import is_rotting


class OpportunityFilterSet(EntityFilterSet):
    rotting = TypedFilter(
        Boolean(), method="filter_rotting", help_text="Resting in a stage for longer than it allows."
    )
    any_contact = TypedFilter(
        Reference("contact"), method="filter_any_contact", help_text="With this contact, primary or not."
    )

    class Meta:
        entity = OPPORTUNITY

    def filter_rotting(self, queryset: QuerySet, name: str, value: bool) -> QuerySet:
        return queryset.filter(is_rotting() if value else ~is_rotting())

    def filter_any_contact(self, queryset: QuerySet, name: str, value: int) -> QuerySet:
        scopes.require(self.user, "contacts")
        seen = Contact.objects.visible_to(self.user).filter(pk=value).exists()
        return queryset.filter(of_contacts([value])) if seen else queryset.filter(contact=value)
