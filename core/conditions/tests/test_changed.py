"""Conditions about a change: what it was before, what it is now, and the record itself."""

from datetime import UTC, datetime

import pytest

from core.changes.models import Change
from core.conditions import change_q, parse
from lead_management.entity import LEAD
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def lead():
    return LeadFactory(first_name="Ada", city="Turin", estimated_value="10.00", tags=["east"])


def update(lead, **values):
    """The change that an update makes."""
    Lead.objects.filter(pk=lead.pk).update(**values)
    return Change.objects.filter(entity="lead").latest("id")


def meets(change, raw):
    condition = parse(LEAD, raw, changes=True)
    return Change.objects.filter(change_q(LEAD, condition, user=None), pk=change.pk).exists()


def leaf(field, op, value=None):
    return {"field": field, "op": op} | ({} if value is None else {"value": value})


@pytest.mark.parametrize(
    ("field", "old", "new", "other"),
    [
        ("status", "new", "contacted", "lost"),
        ("city", "Turin", "Milan", "Rome"),
        ("estimated_value", "10.00", "12.50", "12.51"),
        ("company_size", 5, 50, 500),
        ("do_not_contact", False, True, None),
        ("conversion_probability", 0.25, 0.5, 0.75),
        (
            "next_follow_up_at",
            datetime(2026, 1, 1, 9, tzinfo=UTC),
            datetime(2026, 1, 2, 9, 30, tzinfo=UTC),
            "now",
        ),
        (
            "next_follow_up_at",
            datetime(2026, 1, 1, tzinfo=UTC),
            datetime(2026, 1, 2, tzinfo=UTC),
            {"days": 1},
        ),
    ],
)
def test_a_value_of_any_kind_is_found_before_and_after(lead, field, old, new, other):
    update(lead, **{field: old})
    change = update(lead, **{field: new})
    plain = [v.isoformat() if isinstance(v, datetime) else v for v in (old, new)]
    assert meets(change, leaf(field, "changed"))
    assert meets(change, leaf(field, "changed_from", plain[0]))
    assert meets(change, leaf(field, "changed_to", plain[1]))
    assert not meets(change, leaf(field, "changed_to", plain[0]))
    assert not meets(change, leaf(field, "changed_from", plain[1]))
    assert meets(change, {"not": leaf(field, "changed_to", plain[0])})
    if other is not None:
        assert not meets(change, leaf(field, "changed_to", other))


def test_a_reference_is_found_by_its_id(lead, rep):
    change = update(lead, assigned_to=rep)
    assert meets(change, leaf("assigned_to", "changed_to", rep.pk))
    assert not meets(change, leaf("assigned_to", "changed_from", rep.pk))
    assert meets(change, {"not": leaf("assigned_to", "changed_from", rep.pk)})


def test_a_list_changed_to_what_it_got_and_from_what_it_lost(lead):
    change = update(lead, tags=["east", "vip"])
    assert meets(change, leaf("tags", "changed_to", "vip"))
    assert not meets(change, leaf("tags", "changed_to", "east"))
    assert not meets(change, leaf("tags", "changed_from", "east"))
    assert meets(update(lead, tags=["vip"]), leaf("tags", "changed_from", "east"))


def test_what_did_not_change_is_no_change_to_its_value(lead):
    change = update(lead, status="contacted")
    assert not meets(change, leaf("city", "changed"))
    assert not meets(change, leaf("city", "changed_to", "Turin"))
    assert meets(change, {"not": leaf("city", "changed_to", "Turin")})


def test_nothing_changed_in_a_creation(lead):
    created = Change.objects.filter(entity="lead", object_id=lead.pk).get()
    assert not meets(created, leaf("city", "changed"))
    assert not meets(created, leaf("city", "changed_to", "Turin"))
    assert meets(created, {"city": "Turin"})


def test_the_record_and_its_change_are_asked_together(lead):
    change = update(lead, status="contacted")
    became = leaf("status", "changed_to", "contacted")
    assert meets(change, [became, {"city": "Turin"}])
    assert not meets(change, [became, {"city": "Milan"}])
    assert meets(change, {"any": [leaf("status", "changed_to", "lost"), {"city": "Turin"}]})
    assert meets(change, {"all": [{"not": leaf("status", "changed_to", "lost")}, {"not": {"city": "Milan"}}]})
    assert meets(change, {})


def test_of_a_deleted_record_only_the_change_is_known(lead):
    lead.delete()
    deleted = Change.objects.filter(entity="lead").latest("id")
    assert meets(deleted, leaf("city", "changed_from", "Turin"))
    assert not meets(deleted, {"city": "Turin"})
