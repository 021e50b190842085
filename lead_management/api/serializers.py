"""Leads, and what their verbs take and answer, as JSON."""

from rest_framework import serializers

from core.api.serializers import CountsField, EntitySerializer, StatisticsSerializer
from core.api.strict import StrictFieldsMixin
from core.entities.field_types import Boolean, Date, Json, Money, Reference, Text
from lead_management.entity import LEAD


class LeadSerializer(EntitySerializer):
    """A lead."""

    class Meta:
        entity = LEAD


class LeadStatisticsSerializer(StatisticsSerializer):
    """Totals of leads; `conversion_rate` is the share of converted ones, 0 to 1."""

    average_score = serializers.FloatField()
    hot = serializers.IntegerField()
    converted = serializers.IntegerField()
    conversion_rate = serializers.FloatField()
    by_status = CountsField()
    by_source = CountsField()
    by_priority = CountsField()


class ConversionSerializer(StrictFieldsMixin, serializers.Serializer):
    """What a conversion should make; ids name records to use instead of finding or making them."""

    create_opportunity = Boolean(required=False, allow_null=True)
    contact = Reference("contact", required=False, allow_null=True)
    company = Reference("company", required=False, allow_null=True)
    pipeline = Reference("pipeline", required=False, allow_null=True)
    stage = Text(max_length=40, required=False, allow_null=True, allow_blank=True)
    opportunity_name = Text(max_length=200, required=False, allow_null=True, allow_blank=True)
    # Of the currency of the lead.
    amount = Money(max_digits=17, decimal_places=4, min_value=0, required=False, allow_null=True)
    expected_close_date = Date(required=False, allow_null=True)
    # By key, for every record that defines it, or by the record's entity and then by key.
    custom_fields = Json(required=False, allow_null=True)


class ConversionResultSerializer(serializers.Serializer):
    """What a conversion made or found; `created` says of each whether it is new."""

    success = serializers.BooleanField()
    lead_id = serializers.IntegerField()
    contact_id = serializers.IntegerField()
    company_id = serializers.IntegerField(allow_null=True)
    opportunity_id = serializers.IntegerField(allow_null=True)
    created = serializers.DictField(child=serializers.BooleanField())
    moved = serializers.DictField(child=serializers.IntegerField())


class HealthSerializer(serializers.Serializer):
    status = serializers.CharField()
