"""The inbox over HTTP."""

from datetime import timedelta

import pytest
from django.utils import timezone

from core.changes import audit_context
from core.changes.dispatch import dispatch
from core.notifications import inbox as core_inbox
from core.notifications.models import Delivery, Notification
from core.notifications.tests.factories import DeliveryFactory, NotificationFactory
from lead_management.models import Lead

pytestmark = pytest.mark.django_db
URL = "/api/v1/notifications/"


@pytest.fixture
def notified(admin_user, rep, new_lead):
    """A rep who was assigned a lead: (lead, notification)."""
    lead = new_lead(admin_user, owner=admin_user, assigned_to=rep)
    dispatch()
    return lead, Notification.objects.get(recipient=rep)


def test_the_inbox_shows_what_one_was_notified(api, rep, admin_user, notified):
    lead, row = notified
    page = api(rep).get(URL).json()
    assert page["count"] == 1
    (shown,) = page["results"]
    assert shown["title"] == f"{admin_user.username} assigned you the lead Ada Byron"
    assert (shown["type"], shown["is_read"], shown["count"]) == ("assignment", False, 1)
    assert (shown["entity"], shown["object_id"]) == ("lead", lead.pk)
    assert shown["actor"]["id"] == admin_user.pk
    assert api(rep).get(f"{URL}{row.pk}/").json() == shown


def test_reading_unreading_archiving(api, rep, notified):
    client, url = api(rep), f"{URL}{notified[1].pk}/"
    assert client.get(f"{URL}counts/").json() == {"unread": 1, "capped": False, "by_type": {"assignment": 1}}
    assert client.post(f"{url}read/").json()["is_read"] is True
    first_read = Notification.objects.get().read_at
    assert client.post(f"{url}read/").status_code == 200
    assert Notification.objects.get().read_at == first_read, "reading again changes nothing"
    assert client.get(f"{URL}?unread=true").json()["count"] == 0
    assert client.get(f"{URL}?unread=false").json()["count"] == 1
    assert client.post(f"{url}unread/").json()["is_read"] is False
    assert client.get(f"{URL}?unread=true").json()["count"] == 1
    client.post(f"{url}archive/")
    assert client.get(URL).json()["count"] == 0
    assert client.get(f"{URL}?archived=true").json()["count"] == 1
    assert client.get(f"{URL}counts/").json()["unread"] == 0
    client.post(f"{url}unarchive/")
    assert client.get(URL).json()["count"] == 1


def test_read_all_reads_all_some_types_or_what_came_before(api, rep, admin_user):
    for kind in ("mention", "update", "update"):
        NotificationFactory(recipient=rep, type=kind, title="x")
    other = NotificationFactory(recipient=admin_user, type="update", title="x")
    client = api(rep)
    assert client.post(f"{URL}read_all/", {"until": "2020-01-01T00:00:00Z"}).json() == {"read": 0}
    assert client.post(f"{URL}read_all/", {"types": ["mention"]}).json() == {"read": 1}
    assert client.post(f"{URL}read_all/").json() == {"read": 2}
    other.refresh_from_db()
    assert other.read_at is None
    assert client.post(f"{URL}read_all/", {"colour": "red"}).status_code == 400


def test_nobody_else_sees_or_changes_it(api, admin_user, rep, notified):
    client, url = api(admin_user), f"{URL}{notified[1].pk}/"
    assert client.get(url).status_code == 404
    assert client.post(f"{url}read/").status_code == 404
    assert client.get(URL).json()["count"] == 0
    assert Notification.objects.get().read_at is None


def test_what_one_may_no_longer_see_is_gone_from_the_inbox(api, rep, make_user, notified):
    lead, row = notified
    with audit_context():
        Lead.objects.filter(pk=lead.pk).update(assigned_to=make_user("rep"))
    client = api(rep)
    assert client.get(URL).json()["count"] == 0
    assert client.get(f"{URL}{row.pk}/").status_code == 404
    assert client.get(f"{URL}counts/").json()["unread"] == 0


def test_messages_about_no_record_are_shown(api, rep):
    NotificationFactory(recipient=rep, type="workflow", title="Hello")
    NotificationFactory(recipient=rep, type="import_finished", title="x", entity="import", object_id=5)
    assert api(rep).get(URL).json()["count"] == 2


@pytest.mark.parametrize("query", ["colour=red", "unread=perhaps", "type__gt=3"])
def test_unknown_parameters_are_refused(api, rep, query):
    assert api(rep).get(f"{URL}?{query}").status_code == 400


def test_nothing_is_created_or_deleted_here(api, rep, notified):
    client = api(rep)
    assert client.post(URL, {"title": "x"}).status_code == 405
    assert client.delete(f"{URL}{notified[1].pk}/").status_code == 405
    assert api().get(URL).status_code in (401, 403)


def test_unread_again_makes_no_second_of_its_group(rep, api):
    old = NotificationFactory(recipient=rep, type="update", title="x", group_key="g", read_at=timezone.now())
    NotificationFactory(recipient=rep, type="update", title="y", group_key="g")
    assert api(rep).post(f"{URL}{old.pk}/unread/").status_code == 200
    assert api(rep).get(f"{URL}counts/").json()["unread"] == 2


def test_counting_stops_at_its_limit(api, rep, monkeypatch):
    monkeypatch.setattr(core_inbox, "COUNT_LIMIT", 3)
    rows = [Notification(recipient=rep, type="update", title="x") for _ in range(5)]
    Notification.objects.bulk_create(rows)
    assert api(rep).get(f"{URL}counts/").json() == {"unread": 3, "capped": True, "by_type": {"update": 3}}


def test_a_page_costs_the_same_however_long(api, rep, admin_user, django_assert_num_queries):
    rows = [Notification(recipient=rep, type="update", title="x", actor_id=admin_user.pk) for _ in range(30)]
    Notification.objects.bulk_create(rows)
    client = api(rep)
    with django_assert_num_queries(2):
        client.get(f"{URL}?page_size=50")


def test_old_notifications_are_forgotten_with_their_deliveries(rep):
    for age in (364, 366):
        row = NotificationFactory(recipient=rep, type="update", title=str(age))
        Notification.objects.filter(pk=row.pk).update(created_at=timezone.now() - timedelta(days=age))
        DeliveryFactory(notification=row, channel="email")
    assert core_inbox.forget_old() == 1
    assert [n.title for n in Notification.objects.all()] == ["364"]
    assert Delivery.objects.count() == 1
