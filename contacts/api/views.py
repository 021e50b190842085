"""Companies and contacts over HTTP."""

from contacts.api.company_suggestions import CompanySuggestionsViewSet
from contacts.api.filters import CompanyFilterSet, ContactFilterSet
from contacts.api.serializers import (
    CompanySerializer,
    CompanyStatisticsSerializer,
    ContactSerializer,
    ContactStatisticsSerializer,
)
from contacts.models import Company, Contact
from core.duplicates.api.viewsets import MergeableViewSet


class CompanyViewSet(MergeableViewSet):
    """Companies you sell to."""

    queryset = Company.objects.all()
    serializer_class = CompanySerializer
    statistics_serializer_class = CompanyStatisticsSerializer
    filterset_class = CompanyFilterSet


class ContactViewSet(CompanySuggestionsViewSet):
    """Contacts: people at the companies you sell to."""

    queryset = Contact.objects.all()
    serializer_class = ContactSerializer
    statistics_serializer_class = ContactStatisticsSerializer
    filterset_class = ContactFilterSet
