"""Companies and contacts over HTTP."""

from contacts.api.filters import CompanyFilterSet, ContactFilterSet
from contacts.api.serializers import CompanySerializer, ContactSerializer
from contacts.models import Company, Contact
from core.activities.api.viewsets import RecordViewSet


class CompanyViewSet(RecordViewSet):
    """Companies: whom one sells to."""

    queryset = Company.objects.all()
    serializer_class = CompanySerializer
    filterset_class = CompanyFilterSet


class ContactViewSet(RecordViewSet):
    """Contacts: the people one talks to."""

    queryset = Contact.objects.all()
    serializer_class = ContactSerializer
    filterset_class = ContactFilterSet
