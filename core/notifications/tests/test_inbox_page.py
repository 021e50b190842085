"""The inbox in the admin site."""

import json

import pytest
from django.test import Client
from django.utils import timezone

from core.accounts.models import Session
from core.accounts.tickets import redeem
from core.notifications.models import Notification, PushSubscription
from core.notifications.tests.factories import NotificationFactory

pytestmark = pytest.mark.django_db
URL, LIVE = "/admin/inbox/", "/admin/inbox-live/"
# A point of P-256 and 16 bytes, as browsers give them.
KEYS = {
    "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
    "auth": "BTBZMqHH6r4Tts7J_aSIgg",
}


@pytest.fixture
def seller(make_user):
    return make_user("rep", username="robin", is_staff=True)


@pytest.fixture
def browser(seller):
    client = Client()
    client.force_login(seller)
    return client


def lines(response):
    return [(line.title, line.kind, line.is_read) for line in response.context["lines"]]


def test_it_lists_what_is_unread_or_everything_by_human_names(browser, seller, new_lead, admin_user):
    lead = new_lead(owner=seller)
    about = {"recipient": seller, "entity": "lead", "object_id": lead.pk}
    NotificationFactory(title="boss mentioned you on Ada Byron", type="mention", **about)
    NotificationFactory(title="Old", type="reminder", recipient=seller, read_at=timezone.now())
    NotificationFactory(title="Hidden", **about | {"object_id": new_lead(owner=admin_user).pk})
    NotificationFactory(title="Of somebody else", recipient=admin_user)
    mention = ("boss mentioned you on Ada Byron", "Someone mentions you", False)
    assert lines(browser.get(URL)) == [mention]
    assert lines(browser.get(URL, {"show": "all"})) == [("Old", "A reminder is due", True), mention]
    assert "inbox_list" in browser.get(URL, headers={"HX-Request": "true"}).template_name


def test_opening_reads_and_leads_to_the_record(browser, seller, new_lead):
    lead = new_lead(owner=seller)
    row = NotificationFactory(recipient=seller, entity="lead", object_id=lead.pk)
    answer = browser.post(URL, {"do": "open", "id": row.pk})
    assert answer.url == f"/admin/lead_management/lead/{lead.pk}/change/"
    assert Notification.objects.exclude(read_at=None).get() == row
    browser.post(URL, {"do": "unread", "id": row.pk})
    assert Notification.objects.get().read_at is None
    assert browser.post(f"{URL}?show=all", {"do": "archive", "id": row.pk}).url == f"{URL}?show=all"
    assert lines(browser.get(URL, {"show": "all"})) == []


def test_all_are_read_at_once_and_nobody_elses(browser, seller, admin_user):
    NotificationFactory.create_batch(2, recipient=seller)
    other = NotificationFactory(recipient=admin_user)
    assert (
        "2 notifications were marked as read."
        in browser.post(URL, {"do": "read_all"}, follow=True).content.decode()
    )
    assert browser.post(URL, {"do": "read", "id": other.pk}).status_code == 404
    assert browser.post(URL, {"do": "sing"}).status_code == 404
    assert Notification.objects.get(read_at=None) == other


def test_the_bell_counts_and_gets_a_ticket_of_its_session(browser, seller):
    NotificationFactory(recipient=seller)
    found = browser.get(LIVE, {"ticket": "1"}).json()
    assert (found["unread"], found["shown"], found["label"]) == (1, "1", "Notifications, 1 unread")
    principal = redeem(found["url"].partition("ticket=")[2])
    assert principal.user() == seller
    Session.objects.get(pk=principal.session_id).delete()
    assert principal.user() is None
    assert "url" not in Client().get(LIVE).headers
    assert Client().get(LIVE).status_code == 302


def test_a_browser_takes_web_push_and_leaves_it_again(browser, seller):
    assert browser.get(LIVE, {"push": "1"}).json()["key"]
    given = {"endpoint": "https://push.example/robin", "keys": KEYS}
    assert browser.post(URL, {"do": "subscribe", "subscription": json.dumps(given)}).status_code == 200
    assert PushSubscription.objects.get(user=seller).endpoint == "https://push.example/robin"
    assert browser.post(URL, {"do": "test"}).status_code == 200
    assert Notification.objects.get(recipient=seller).type == "test"
    browser.post(URL, {"do": "unsubscribe", "endpoint": "https://push.example/robin"})
    assert PushSubscription.objects.count() == 0
    assert browser.post(URL, {"do": "subscribe", "subscription": "{"}).status_code == 400
