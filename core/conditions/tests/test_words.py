"""Conditions in words."""

import pytest
from django.utils import timezone

from core.accounts.tests.factories import UserFactory
from core.conditions import parse
from core.conditions.words import ConditionWords
from core.entities import entities
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db


def words(raw, user=None, changes=False):
    condition = parse(entities["lead"], raw, changes=changes)
    return ConditionWords(user, [condition]).parts(condition)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({}, []),
        ({"status": "new", "city": ["Oslo", "Turin"]}, ["Status is New", "City is Oslo or Turin"]),
        (
            {"field": "status", "op": "not_in", "value": ["lost", "converted"]},
            ["Status is neither Lost nor Converted"],
        ),
        ({"field": "lead_score", "op": "gt", "value": 70}, ["Lead score is above 70"]),
        ({"field": "lead_score", "op": "between", "value": [1, 5]}, ["Lead score is between 1 and 5"]),
        ({"field": "email", "op": "is_empty"}, ["Email is empty"]),
        ({"field": "email", "op": "is_empty", "value": False}, ["Email is filled in"]),
        (
            {"field": "last_contacted_at", "op": "before", "value": {"days": -7}},
            ["Last contacted at is before 1 week ago"],
        ),
        (
            {"field": "created_at", "op": "within_last", "value": {"days": 3}},
            ["Created at is within the last 3 days"],
        ),
        (
            {"field": "next_follow_up_at", "op": "lt", "value": "tomorrow"},
            ["Next follow up at is before tomorrow"],
        ),
        ({"do_not_contact": True}, ["Do not contact is yes"]),
        ({"field": "tags", "op": "has_all", "value": ["a", "b"]}, ["Tags has all of a and b"]),
        (
            {"any": [{"city": "Oslo"}, {"all": [{"status": "new"}, {"country": "NO"}]}]},
            ["City is Oslo or (Status is New and Country is NO)"],
        ),
        ({"not": {"city": "Oslo"}}, ["not (City is Oslo)"]),
    ],
)
def test_a_condition_reads_as_a_sentence(raw, expected):
    assert words(raw) == expected


def test_the_last_moment_there_is_reads_as_it_stands_where_no_zone_has_a_later_one():
    last = {"field": "created_at", "op": "lte", "value": "9999-12-31T23:59:59+00:00"}
    with timezone.override("Europe/Berlin"):
        [said] = words(last)
    assert said.startswith("Created at is at the latest Dec. 31, 9999")


def test_what_is_referred_to_is_called_by_name_where_one_sees_it():
    rep, other = UserFactory(role="rep", first_name="Ada", last_name="Byron"), UserFactory(role="rep")
    assert words({"owner": rep.pk}, rep) == ["Owner is Ada Byron"]
    lead = LeadFactory(owner=other)
    assert words({"company": lead.pk}, rep) == [f"Company is company {lead.pk}"]


def test_a_change_reads_as_one():
    raw = {"field": "status", "op": "changed_to", "value": "qualified"}
    assert words(raw, changes=True) == ["Status becomes Qualified"]
    assert words({"field": "status", "op": "changed"}, changes=True) == ["Status changes"]
