"""Announcements of what the condition language cannot say."""

import pytest
from django.db.models import F, Q

from core.changes.dispatch import dispatch
from core.notifications import types
from core.notifications.models import Notification
from core.notifications.watching import announce, announcements

pytestmark = pytest.mark.django_db


@pytest.fixture
def raised():
    """Followers hear that a lead's value was raised."""
    more = Q(changes__estimated_value__0__lt=F("changes__estimated_value__1"))
    announce(
        "lead",
        "value_raised",
        label="A lead you follow is worth more",
        condition={"field": "estimated_value", "op": "changed"},
        title="Worth more: {name}",
        many="leads are worth more",
        narrow=more,
    )
    yield
    del announcements._items["lead:value_raised"]
    del types.types._items["value_raised"]


def test_only_the_narrowed_changes_are_announced(raised, api, rep, make_lead, change):
    lead = make_lead(first_name="Ada", last_name="Byron", owner=rep.pk, estimated_value="100.00")
    dispatch()
    change(lead, estimated_value="90.00")
    dispatch()
    assert not Notification.objects.filter(type="value_raised").exists()
    change(lead, estimated_value="200.00")
    dispatch()
    [heard] = Notification.objects.filter(type="value_raised")
    assert (heard.recipient, heard.title) == (rep, "Worth more: Ada Byron")
