"""Serializers and FilterSets made from an entity's columns, extended by hand as any other."""

import pytest
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from core.api.serializers import EntitySerializer
from core.conditions.filters import EntityFilterSet, filterset_of
from core.entities.entity import by_plural
from lead_management.api.filters import LeadFilterSet
from lead_management.entity import LEAD
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db


class GreetingSerializer(EntitySerializer):
    """A lead with a field that is computed, one that is checked otherwise, and one that is only taken."""

    greeting = serializers.SerializerMethodField()
    city = serializers.RegexField(r"^[A-Z]", required=False)
    shout = serializers.BooleanField(write_only=True, required=False)

    class Meta:
        entity = LEAD

    def get_greeting(self, lead):
        return f"Dear {lead.first_name}"

    def validate_industry(self, value):
        if value == "tobacco":
            raise serializers.ValidationError("Not with us.", code="not_with_us")
        return value.title()

    def create(self, validated_data):
        if validated_data.pop("shout", False):
            validated_data["first_name"] = validated_data["first_name"].upper()
        return super().create(validated_data)


def made(user, **data):
    return GreetingSerializer(data=data, context={"user": user})


def test_fields_declared_by_hand_stand_beside_the_columns(rep):
    serializer = made(rep, first_name="Ada", city="Turin", shout=True, industry="steel")
    assert serializer.is_valid(), serializer.errors
    lead = serializer.save()
    assert (lead.first_name, lead.city, lead.industry, lead.owner) == ("ADA", "Turin", "Steel", rep)
    shown = serializer.data
    assert (shown["greeting"], shown["city"], shown["email"]) == ("Dear ADA", "Turin", "")
    assert "shout" not in shown


def test_all_faults_are_named_as_drf_names_them(rep):
    serializer = made(rep, first_name="Ada", city="turin")
    assert not serializer.is_valid()
    assert [detail.code for detail in serializer.errors["city"]] == ["invalid"]
    serializer = made(rep, first_name="Ada", industry="tobacco")
    assert not serializer.is_valid()
    assert serializer.errors == {"industry": [ErrorDetail("Not with us.", "not_with_us")]}
    serializer = made(rep, email="no", lead_score=3, nope=1)
    assert not serializer.is_valid()
    assert {name: [d.code for d in found] for name, found in serializer.errors.items()} == {
        "email": ["invalid"], "lead_score": ["read_only"], "nope": ["unknown_field"],
    }  # fmt: skip
    assert not Lead.objects.exists()


def test_many_are_read_at_once_with_a_field_of_ones_own(rep, django_assert_num_queries):
    ids = [LeadFactory(first_name=name).pk for name in ("Ada", "Bob", "Cid")]
    serializer = GreetingSerializer(ids[::-1], many=True, context={"user": rep}, fields=["id", "greeting"])
    assert [row["greeting"] for row in serializer.data] == ["Dear Cid", "Dear Bob", "Dear Ada"]
    assert set(serializer.data[0]) == {"id", "greeting"}
    serializer = GreetingSerializer(ids[::-1], many=True, context={"user": rep})
    with django_assert_num_queries(2):
        shown = serializer.data
    assert [row["greeting"] for row in shown] == ["Dear Cid", "Dear Bob", "Dear Ada"]


def test_an_entity_without_filters_of_its_own_has_those_of_its_columns(rep):
    assert filterset_of(LEAD) is LeadFilterSet
    assert by_plural("leads") is LEAD

    class Plain(EntityFilterSet):
        entity = LEAD

    assert {"status", "status__in", "source", "lead_score__gte", "archived"} <= set(Plain.base_filters)
    assert "hot" not in Plain.base_filters


def test_exports_know_the_filters_of_the_list(admin):
    LeadFactory(first_name="Ada", lead_score=90, company_name="Acme, Inc.")
    LeadFactory(first_name="Bob", lead_score=10, company_name="Acme")
    url = "/api/v1/export/leads/?fields=first_name&"
    for query, expected in {
        "hot=true": "Ada",
        "max_score=10": "Bob",
        "company_name=Acme, Inc.": "Ada",
        'company_name__in="Acme, Inc.",Other': "Ada",
    }.items():
        answer = admin.get(url + query)
        assert b"".join(answer.streaming_content).decode().split() == ["first_name", expected]
    assert admin.get(f"{url}hot=perhaps").status_code == 400
