"""Companies and contacts as JSON."""

from rest_framework import serializers

from contacts.entity import COMPANY, CONTACT
from core.api.serializers import CountsField, EntitySerializer, StatisticsSerializer


class CompanySerializer(EntitySerializer):
    """A company."""

    class Meta:
        entity = COMPANY


class CompanyStatisticsSerializer(StatisticsSerializer):
    """Totals of companies, their commonest industries and countries."""

    with_domain = serializers.IntegerField()
    by_industry = CountsField()
    by_country = CountsField()


class ContactSerializer(EntitySerializer):
    """A contact."""

    class Meta:
        entity = CONTACT


class ContactStatisticsSerializer(StatisticsSerializer):
    """Totals of contacts, and the companies and countries most of them are from."""

    with_email = serializers.IntegerField()
    with_phone = serializers.IntegerField()
    with_company = serializers.IntegerField()
    do_not_contact = serializers.IntegerField()
    by_company = CountsField()
    by_country = CountsField()
