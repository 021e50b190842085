"""Companies and contacts as JSON."""

from contacts.entity import COMPANY, CONTACT
from core.api.serializers import EntitySerializer


class CompanySerializer(EntitySerializer):
    """A company."""

    class Meta:
        entity = COMPANY


class ContactSerializer(EntitySerializer):
    """A contact."""

    class Meta:
        entity = CONTACT
