"""Companies and contacts over HTTP."""

from contacts.registration import COMPANY, CONTACT
from core.activities.api.viewsets import RecordViewSet


class CompanyViewSet(RecordViewSet):
    """Companies: whom one sells to."""

    entity = COMPANY


class ContactViewSet(RecordViewSet):
    """Contacts: the people one talks to."""

    entity = CONTACT
