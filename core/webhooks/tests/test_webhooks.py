"""Subscriptions and deliveries, with real receivers on loopback."""

import json
import threading
import time
from datetime import timedelta

import pytest
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from core import retention
from core.changes.dispatch import dispatch
from core.errors import ConflictError
from core.notifications.models import Notification
from core.outbound import signing
from core.tests.receiver import receiver
from core.webhooks import operations, sending
from core.webhooks.models import WebhookAttempt, WebhookDelivery, WebhookSubscription
from core.workflows.models import WorkflowExecution
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def subscribe(admin, peer):
    def make(*events, client=admin, **fields):
        body = {"name": "Test", "url": peer.url(), "events": list(events)} | fields
        response = client.post("/api/v1/webhooks/", body)
        assert response.status_code == 201, response.json()
        return response.json()

    return make


def deliver():
    """Everything that happened, told; returns the deliveries, oldest first."""
    dispatch()
    sending.deliver_due()
    return list(WebhookDelivery.objects.order_by("id"))


def hasten():
    WebhookDelivery.objects.filter(status="queued").update(due_at=timezone.now() - timedelta(seconds=1))


def test_an_event_arrives_signed_and_thin(subscribe, peer, admin):
    made = subscribe("lead.created")
    lead = admin.post("/api/v1/leads/", {"first_name": "Grace"}).json()
    assert [(d.status, d.attempts) for d in deliver()] == [("delivered", 1)]
    got = peer.requests[0]
    body = Webhook(made["secret"]).verify(got.body, got.headers)
    assert body["type"] == "lead.created"
    assert (body["data"]["id"], body["data"]["entity"]) == (lead["id"], "lead")
    assert "Grace" not in got.body.decode()
    assert got.headers["idempotency-key"] == got.headers["webhook-id"]


def test_retries_keep_the_id_and_take_a_new_time(subscribe, peer):
    answers = iter([500, 500, 200])
    peer.answer = lambda r: (next(answers), {}, b"")
    made = subscribe("lead.created")
    LeadFactory(first_name="Grace")
    row = deliver()[0]
    assert (row.status, row.error) == ("queued", "The receiver answered 500.")
    assert timedelta(seconds=3) < row.due_at - timezone.now() < timedelta(seconds=7)
    for _ in range(2):
        hasten()
        time.sleep(0.6)
        deliver()
    row.refresh_from_db()
    assert (row.status, row.attempts) == ("delivered", 3)
    assert len({r.headers["webhook-id"] for r in peer.requests}) == 1
    assert len({r.headers["webhook-timestamp"] for r in peer.requests}) > 1
    assert len({r.body for r in peer.requests}) == 1
    for got in peer.requests:
        Webhook(made["secret"]).verify(got.body, got.headers)
    assert [(a.number, a.response_status) for a in row.log.all()] == [(1, 500), (2, 500), (3, 200)]


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 500])
def test_only_2xx_succeeds(subscribe, peer, status):
    peer.answer = lambda r: (status, {"Location": "/elsewhere"}, b"")
    subscribe("lead.created")
    LeadFactory(first_name="Grace")
    assert deliver()[0].status == "queued"
    assert [r.path for r in peer.requests] == ["/hook"]


def test_retry_after_is_respected(subscribe, peer):
    peer.answer = lambda r: (429, {"Retry-After": "3600"}, b"")
    subscribe("lead.created")
    LeadFactory(first_name="Grace")
    assert timedelta(minutes=59) < deliver()[0].due_at - timezone.now() <= timedelta(hours=1)


def test_gone_switches_the_subscription_off_at_once_and_it_can_be_switched_on(
    subscribe, peer, admin, admin_user
):
    peer.answer = lambda r: (410, {}, b"")
    made = subscribe("lead.created")
    LeadFactory(first_name="Grace")
    assert deliver()[0].status == "failed"
    shown = admin.get(f"/api/v1/webhooks/{made['id']}/").json()
    assert (shown["is_enabled"], shown["disabled_reason"]) == (False, "The receiver answered 410 Gone.")
    assert Notification.objects.filter(recipient=admin_user, title="Webhook disabled: Test").count() == 1
    LeadFactory(first_name="Two")
    assert len(deliver()) == 1, "a disabled one hears nothing"
    assert admin.post(f"/api/v1/webhooks/{made['id']}/enable/").json()["is_enabled"] is True


def test_five_days_of_failures_switch_it_off_and_a_success_clears_the_record(subscribe, peer):
    peer.answer = lambda r: (500, {}, b"")
    made = subscribe("lead.created")
    LeadFactory(first_name="Grace")
    deliver()
    rows = WebhookSubscription.objects.filter(pk=made["id"])
    rows.update(failing_since=timezone.now() - timedelta(days=4))
    hasten()
    deliver()
    assert rows.get().is_enabled
    rows.update(failing_since=timezone.now() - timedelta(days=5))
    hasten()
    deliver()
    assert not rows.get().is_enabled
    operations.enable(rows.get())
    peer.answer = lambda r: (200, {}, b"")
    hasten()
    deliver()
    assert (rows.get().failing_since, rows.get().last_success_at is None) == (None, False)


def test_a_full_payload_holds_what_the_owner_sees_and_no_more(subscribe, peer, api, make_user):
    manager, stranger = make_user("manager"), make_user("rep")
    subscribe("lead.*", client=api(manager), payload="full")
    LeadFactory(first_name="Mine", owner=manager)
    LeadFactory(first_name="Hidden", owner=stranger)
    moved = LeadFactory(first_name="Moved", owner=manager)
    dispatch()
    Lead.objects.filter(pk=moved.pk).update(owner=stranger)
    statuses = [d.status for d in deliver()]
    assert statuses == ["delivered", "cancelled"]
    body = json.loads(peer.requests[0].body)
    assert (body["type"], body["data"]["record"]["first_name"]) == ("lead.created", "Mine")


def test_filters_and_named_events(subscribe, admin):
    subscribe("lead.status_changed", conditions={"city": "Oslo"})
    subscribe("lead.converted")
    for city in ("Oslo", "Rome"):
        lead = LeadFactory(first_name=city, city=city)
        Lead.objects.filter(pk=lead.pk).update(status="contacted")
        Lead.objects.filter(pk=lead.pk).update(status="converted")
    assert sorted((d.event, d.subscription.events[0]) for d in deliver()) == [
        ("lead.converted", "lead.converted"),
        ("lead.converted", "lead.converted"),
        ("lead.status_changed", "lead.status_changed"),
        ("lead.status_changed", "lead.status_changed"),
    ]


def test_during_a_rotation_both_secrets_verify_and_none_is_stored_in_clear(subscribe, peer, admin):
    made = subscribe("lead.created")
    new = admin.post(f"/api/v1/webhooks/{made['id']}/rotate_secret/").json()["secret"]
    LeadFactory(first_name="Grace")
    deliver()
    got = peer.requests[0]
    assert Webhook(made["secret"]).verify(got.body, got.headers)
    assert Webhook(new).verify(got.body, got.headers)
    stored = str(list(WebhookSubscription.objects.values()))
    assert made["secret"] not in stored
    assert new not in stored
    assert "secret" not in admin.get(f"/api/v1/webhooks/{made['id']}/").json()
    WebhookSubscription.objects.update(old_secret_until=timezone.now())
    LeadFactory(first_name="Two")
    deliver()
    assert len(peer.requests[1].headers["webhook-signature"].split()) == 1


def test_one_black_hole_delays_no_other_receiver(subscribe, peer, settings):
    release = threading.Event()

    answered = []

    def hold(received):
        answered.append(release.wait(8))
        return 200, {}, b""

    with receiver(hold) as hole:
        settings.CRM = {"OUTBOUND_ALLOWED_HOSTS": [peer.host, hole.host]}
        subscribe("lead.created", url=hole.url())
        for _ in range(5):
            subscribe("lead.created")
        for n in range(6):
            LeadFactory(first_name=f"L{n}")
        dispatch()
        sender = threading.Thread(target=sending.deliver_due)
        sender.start()
        while len(peer.requests) < 30 and not answered:
            time.sleep(0.05)
        assert (len(peer.requests), len(hole.requests), answered) == (30, 2, [])
        release.set()
        sender.join()


def test_redelivery_keeps_the_id_and_is_one_at_a_time(subscribe, peer, admin):
    made = subscribe("lead.created")
    LeadFactory(first_name="Grace")
    row = deliver()[0]
    url = f"/api/v1/webhook_deliveries/{row.pk}/redeliver/"
    assert [admin.post(url).status_code, admin.post(url).status_code] == [202, 409]
    sending.deliver_due()
    assert len({r.headers["webhook-id"] for r in peer.requests}) == 1
    assert len(peer.requests) == 2
    WebhookDelivery.objects.update(status="failed")
    since = (timezone.now() - timedelta(hours=1)).isoformat()
    assert admin.post(f"/api/v1/webhooks/{made['id']}/redeliver/", {"since": since}).json() == {
        "redelivered": 1
    }
    log = admin.get(f"/api/v1/webhooks/{made['id']}/deliveries/").json()["results"][0]["log"]
    assert [a["number"] for a in log] == [1, 2]
    assert log[0]["request_headers"]["webhook-signature"] == "********"


@pytest.mark.parametrize(
    "change",
    [
        {"url": "http://169.254.169.254/"},
        {"url": "https://localhost/"},
        {"events": ["lead.nope"]},
        {"events": []},
        {"events": ["nope.created"]},
        {"conditions": {"nope": 1}},
        {"secret": "x"},
        {"payload": "fat"},
    ],
)
def test_a_wrong_subscription_is_refused(admin, peer, change):
    body = {"name": "Test", "url": peer.url(), "events": ["lead.created"]} | change
    assert admin.post("/api/v1/webhooks/", body).status_code == 400
    assert WebhookSubscription.objects.count() == 0


def test_an_address_that_moved_inside_is_refused_when_sent(subscribe, peer, settings):
    subscribe("lead.created")
    settings.CRM = {}
    LeadFactory(first_name="Grace")
    row = deliver()[0]
    assert row.status == "queued"
    assert peer.connects == 0


def test_the_webhook_action_sends_what_was_rendered_and_gives_up_on_a_refusal(peer, make_workflow, settle):
    from core.outbound import sealing

    peer.answer = lambda r: (422, {}, b"")
    body = {"who": "{{ lead.first_name }}", "n": "{{ lead.call_attempts }}"}
    params = {
        "url": peer.url("/{{ lead.last_name }}"),
        "body": body,
        "headers": {"X-Who": "{{ lead.first_name }}"},
    }
    make_workflow([("webhook", params | {"secret": sealing.seal("whsec_" + "QUJD" * 8)})])
    LeadFactory(first_name='Gr"ace', last_name="../x?y", call_attempts=3)
    run = settle()[0]
    assert run.status == "completed"
    assert [d.status for d in deliver()] == ["failed"]
    got = peer.requests[0]
    assert json.loads(got.body) == {"who": 'Gr"ace', "n": 3}
    assert got.path == "/..%2Fx%3Fy"
    assert got.headers["x-who"] == 'Gr"ace'
    assert got.headers["webhook-id"] == f"run-{run.pk}-0"
    Webhook("whsec_" + "QUJD" * 8).verify(got.body, got.headers)


def test_a_signed_request_starts_a_workflow_once(admin, api, settle):
    made = admin.post(
        "/api/v1/workflows/",
        {
            "name": "In",
            "trigger_type": "inbound_webhook",
            "trigger_conditions": {"model": "lead", "match": {"email": "{{ payload.email }}"}},
            "actions": [{"type": "add_tag", "params": {"tag": "{{ payload.tag }}"}}],
            "status": "active",
        },
    ).json()
    lead = LeadFactory(first_name="Grace", email="g@navy.example")
    body = json.dumps({"email": "g@navy.example", "tag": "vip"})
    path = "/" + made["hook_url"].split("/", 3)[3]

    def post(secret, message="m1"):
        headers = signing.headers([secret], message, body.encode())
        return api().post(path, body, content_type="application/json", headers=headers)

    assert post(signing.new_secret()).status_code == 403
    assert {post(made["hook_secret"]).status_code for _ in range(20)} == {202}
    settle()
    lead.refresh_from_db()
    assert lead.tags == ["vip"]
    assert WorkflowExecution.objects.count() == 1
    assert api().post("/api/v1/hooks/unknownunknown/", {}).status_code == 404


def test_of_ten_redeliveries_at_once_one_is_taken_and_one_attempt_made(subscribe, peer, at_once):
    subscribe("lead.created")
    LeadFactory(first_name="Grace")
    row = deliver()[0]

    def again():
        try:
            operations.redeliver(row)
        except ConflictError as error:
            return error.code
        return "taken"

    assert sorted(at_once(*[again] * 10)) == ["on_its_way"] * 9 + ["taken"]
    at_once(*[sending.deliver_due] * 3)
    assert len(peer.requests) == 2


def test_the_log_keeps_the_beginning_of_an_answer_and_no_credentials(subscribe, peer, admin):
    peer.answer = lambda r: (200, {"Set-Cookie": "a=b", "Cookie": "a=b"}, b"x" * 100_000)
    subscribe("lead.created")
    LeadFactory(first_name="Grace")
    row = deliver()[0]
    shown = admin.get(f"/api/v1/webhook_deliveries/{row.pk}/").json()["log"][0]
    assert (shown["response_status"], shown["response_body"]) == (200, "x" * 4_096)
    assert shown["duration_ms"] >= 0
    assert {shown["request_headers"][n] for n in ("webhook-signature",)} == {"********"}
    assert {shown["response_headers"][n] for n in ("set-cookie", "cookie")} == {"********"}


def test_deliveries_past_their_time_are_forgotten_with_their_attempts(subscribe, peer):
    subscribe("lead.created")
    for name in ("Old", "New"):
        LeadFactory(first_name=name)
        deliver()
    old = WebhookDelivery.objects.earliest("pk")
    WebhookDelivery.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=31))
    assert retention.prune() == 1
    assert WebhookAttempt.objects.count() == WebhookDelivery.objects.count() == 1


def test_one_signed_request_twenty_times_at_once_starts_one_run(admin, api, at_once):
    made = admin.post(
        "/api/v1/workflows/",
        {
            "name": "In",
            "trigger_type": "inbound_webhook",
            "actions": [{"type": "send_notification", "params": {"message": "{{ payload.n }}"}}],
            "status": "active",
        },
    ).json()
    body, path = json.dumps({"n": 7}), "/" + made["hook_url"].split("/", 3)[3]
    headers = signing.headers([made["hook_secret"]], "once", body.encode())

    def post():
        return api().post(path, body, content_type="application/json", headers=headers).status_code

    assert at_once(*[post] * 20) == [202] * 20
    assert WorkflowExecution.objects.count() == 1
