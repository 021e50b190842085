"""Companies and contacts over HTTP."""

from contacts.registration import COMPANY, CONTACT
from core.api.viewsets import EntityViewSet


class CompanyViewSet(EntityViewSet):
    """Companies: whom one sells to."""

    entity = COMPANY


class ContactViewSet(EntityViewSet):
    """Contacts: the people one talks to."""

    entity = CONTACT
