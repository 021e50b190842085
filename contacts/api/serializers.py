"""Companies and contacts as JSON."""

from rest_framework import serializers

from contacts.entity import COMPANY, CONTACT
from core.api.serializers import CountsField, EntitySerializer, StatisticsSerializer


class CompanySerializer(EntitySerializer):
    """A company."""

    class Meta:
        entity = COMPANY


class CompanyStatisticsSerializer(StatisticsSerializer):
    """Totals of companies, with the most frequent industries and countries. Figures of fields that are
    hidden from your role are left out."""

    with_domain = serializers.IntegerField(required=False)
    by_industry = CountsField(required=False)
    by_country = CountsField(required=False)


class ContactSerializer(EntitySerializer):
    """A contact."""

    class Meta:
        entity = CONTACT


class ContactStatisticsSerializer(StatisticsSerializer):
    """Totals of contacts, with the most frequent companies and countries. Figures of fields that are hidden
    from your role are left out."""

    with_email = serializers.IntegerField(required=False)
    with_phone = serializers.IntegerField(required=False)
    with_company = serializers.IntegerField()
    do_not_contact = serializers.IntegerField()
    by_company = CountsField(required=False)
    by_country = CountsField(required=False)
