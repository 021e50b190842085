"""Who hears what while a message is tried again, and messages that cannot be made."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from contacts.models import Company
from contacts.tests.factories import CompanyFactory
from core.changes.dispatch import dispatch
from core.entities import entities
from core.webhooks import claiming, sending
from core.webhooks.events import _exists, changes_q
from core.webhooks.models import WebhookDelivery, WebhookSubscription
from core.webhooks.tests.factories import WebhookDeliveryFactory
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def refused_once(api, make_user, peer):
    """A manager's lead, told of in full; the receiver has refused it once and would take it now."""
    manager = make_user("manager")
    body = {"name": "Full", "url": peer.url(), "events": ["lead.created"], "payload": "full"}
    assert api(manager).post("/api/v1/webhooks/", body).status_code == 201
    peer.answer = lambda r: (500, {}, b"")
    lead = LeadFactory(first_name="Grace", owner=manager)
    deliver()
    peer.answer = lambda r: (200, {}, b"")
    WebhookDelivery.objects.update(due_at=timezone.now())
    return manager, lead


def deliver():
    dispatch()
    sending.deliver_due()
    return list(WebhookDelivery.objects.order_by("id").values_list("status", flat=True))


def test_a_repetition_goes_to_whom_still_sees_the_record(refused_once, peer):
    assert deliver() == ["delivered"]
    assert peer.requests[0].body == peer.requests[1].body


def test_nothing_is_repeated_to_whom_was_deactivated_meanwhile(refused_once, peer):
    manager, _ = refused_once
    manager.is_active = False
    manager.save()
    assert deliver() == ["cancelled"]
    assert len(peer.requests) == 1


def test_nothing_is_repeated_of_a_record_that_was_moved_out_of_reach(refused_once, peer, make_user):
    Lead.objects.update(owner=make_user("rep"))
    assert deliver() == ["cancelled"]
    assert len(peer.requests) == 1


def test_a_header_holds_letters_beyond_ascii_as_utf_8(make_workflow, make_lead, settle, peer):
    headers = {"X-Name": "{{lead.first_name}}", "content-type": "text/plain", "Webhook-Id": "mine"}
    make_workflow([("webhook", {"url": peer.url(), "headers": headers})])
    make_lead(first_name="Jürgen 🌍")
    settle()
    assert deliver() == ["delivered"]
    got = peer.requests[0].headers
    assert got["x-name"].encode("latin-1").decode() == "Jürgen 🌍"
    assert (got["content-type"], got["webhook-id"]) == ("text/plain", WebhookDelivery.objects.get().key)


def test_a_message_that_cannot_be_made_stops_no_other(make_workflow, make_lead, settle, peer):
    make_workflow([("webhook", {"url": peer.url("/broken")}), ("webhook", {"url": peer.url("/sound")})])
    make_lead()
    settle()
    broken = WebhookDelivery.objects.order_by("id").first()
    WebhookDelivery.objects.filter(pk=broken.pk).update(secret="sealed:of another key")
    assert deliver() == ["queued", "delivered"]
    broken.refresh_from_db()
    assert (broken.error, broken.attempts) == ("The message could not be made.", 1)
    assert timedelta(seconds=7) < broken.due_at - timezone.now() <= timedelta(seconds=12)


def test_every_event_of_a_changed_field_can_be_heard():
    names = [f"{e.name}.{field}_changed" for e in entities for field in e.by_name]
    asked = [name for name in names if _exists(entities[name.partition(".")[0]], name)]
    assert "company.custom_fields_changed" in asked
    for name in asked:
        assert changes_q(entities[name.partition(".")[0]], name)


def test_a_change_of_custom_fields_is_heard(admin, peer):
    body = {"name": "Own", "url": peer.url(), "events": ["company.custom_fields_changed"]}
    assert admin.post("/api/v1/webhooks/", body).status_code == 201
    CompanyFactory(name="Acme")
    Company.objects.update(custom_fields={"tier": "gold"})
    assert deliver() == ["delivered"]


def test_a_flood_to_one_receiver_is_not_read_to_find_what_waits_for_another():
    flood = (WebhookDelivery(key=f"f{i}", event="lead.created", lane="a") for i in range(20_000))
    WebhookDelivery.objects.bulk_create(flood)
    WebhookDeliveryFactory(key="other", event="lead.created", lane="b")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE core_webhookdelivery")
        given = {"per_lane": 2, "limit": 16, "lease": 60}
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {claiming._CLAIM}", given)
        plan = cursor.fetchone()[0]
    top = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
    assert top["Shared Hit Blocks"] + top["Shared Read Blocks"] < 200
    sent = WebhookDelivery.objects.filter(status="sending").order_by("id")
    assert list(sent.values_list("key", flat=True)) == ["f0", "f1", "other"]
    assert claiming.claim(16) == []


def test_a_webhook_deleted_while_it_delivers_stops_nobody(admin, peer, make_workflow, make_lead, settle):
    body = {"name": "Gone", "url": peer.url("/gone"), "events": ["lead.created"]}
    made = admin.post("/api/v1/webhooks/", body).json()
    other = admin.post("/api/v1/webhooks/", body | {"name": "Stays", "url": peer.url("/stays")}).json()

    def answer(received):
        if received.path == "/gone":
            assert admin.delete(f"/api/v1/webhooks/{made['id']}/").status_code == 204
        return 200, {}, b""

    peer.answer = answer
    make_lead()
    dispatch()
    assert sending.deliver_due() == 2
    left = list(WebhookDelivery.objects.values_list("subscription", "status"))
    assert left == [(other["id"], "delivered")]


def test_a_delivery_that_is_gone_when_its_turn_comes_is_left_alone(admin, peer):
    body = {"name": "Gone", "url": peer.url(), "events": ["lead.created"]}
    made = admin.post("/api/v1/webhooks/", body).json()
    LeadFactory(first_name="Grace")
    dispatch()
    (pk,) = claiming.claim(16)
    WebhookSubscription.objects.get(pk=made["id"]).delete()
    sending.attempt(pk)
    assert peer.requests == []


def test_deleting_and_recording_at_once_end_without_a_deadlock(admin, peer, at_once):
    body = {"name": "Race", "url": peer.url(), "events": ["lead.created"]}
    for _ in range(5):
        made = admin.post("/api/v1/webhooks/", body).json()
        Lead.objects.bulk_create(Lead(first_name=str(n)) for n in range(4))
        dispatch()
        row = WebhookSubscription.objects.get(pk=made["id"])
        at_once(row.delete, sending.deliver_due, sending.deliver_due)
        assert WebhookDelivery.objects.count() == WebhookSubscription.objects.count() == 0
