"""Whom something is shared with hears of it, once."""

import pytest

from core.changes.dispatch import dispatch
from core.customization.tests.factories import SavedViewFactory
from core.notifications.models import Notification
from core.sharing.models import Share
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db


def heard(user):
    return [
        (n.type, n.title, n.entity, n.object_id)
        for n in Notification.objects.filter(recipient=user).order_by("id")
    ]


@pytest.fixture
def lead(people):
    lead = LeadFactory(owner=people["owner"], first_name="Grace", last_name="Hopper")
    dispatch()
    return lead


def test_whom_a_record_is_shared_with_hears_of_it_once(api, people, lead):
    client, url = api(people["owner"]), f"/api/v1/leads/{lead.pk}/shares/"
    client.post(url, {"user": people["stranger"].pk})
    dispatch()
    client.post(url, {"user": people["stranger"].pk, "access": "write"})
    dispatch()
    one = ("share", "Olive Owner shared the lead Grace Hopper with you", "lead", lead.pk)
    assert heard(people["stranger"]) == [one]
    assert heard(people["owner"]) == []
    assert api(people["stranger"]).get("/api/v1/notifications/").json()["count"] == 1
    Share.objects.all().delete()
    assert api(people["stranger"]).get("/api/v1/notifications/").json()["count"] == 0


def test_each_member_of_a_team_hears_of_it_but_for_whose_it_is(api, people, lead, make_user):
    given = make_user("rep", team=people["inside"])
    lead.assigned_to = given
    lead.save()
    dispatch()
    Notification.objects.all().delete()
    api(people["owner"]).post(f"/api/v1/leads/{lead.pk}/shares/", {"team": "West"})
    dispatch()
    recipients = Notification.objects.order_by("recipient").values_list("recipient", flat=True)
    assert list(recipients) == sorted(people[who].pk for who in ("rep", "below", "viewer"))


def test_many_records_are_one_notification(api, people):
    ids = [LeadFactory(owner=people["owner"]).pk for _ in range(5)]
    dispatch()
    api(people["owner"]).post("/api/v1/leads/share/", {"ids": ids, "user": people["rep"].pk})
    dispatch()
    assert heard(people["rep"]) == [("share", "5 leads were shared with you", "lead", None)]


def test_a_view_is_heard_of_as_well(api, people):
    view = SavedViewFactory(owner=people["owner"], name="Hot")
    api(people["owner"]).post(f"/api/v1/saved_views/{view.pk}/shares/", {"team": "Inside"})
    dispatch()
    one = ("share", "Olive Owner shared the view Hot with you", "saved_view", view.pk)
    assert heard(people["below"]) == [one]
    assert heard(people["rep"]) == []
