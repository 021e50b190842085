"""Deliveries: planned once, sent by lease, retried, given up; to real servers on loopback."""

import base64
import json
import secrets
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import http_ece
import jwt
import pytest
import time_machine
from aiosmtpd.controller import Controller
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backend.development.embedded import ports
from core.accounts.models import User
from core.notifications import claiming, planning, sending
from core.notifications.channels import email, push
from core.notifications.digest import send_digests
from core.notifications.models import (
    Delivery,
    Notification,
    NotificationPreference,
    PushSubscription,
    SuppressedAddress,
)
from core.notifications.tests.factories import NotificationFactory, NotificationPreferenceFactory
from core.outbound.models import CircuitBreaker
from core.tests.receiver import receiver
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db


def notified(user, kind="mention", **fields):
    return NotificationFactory(recipient=user, type=kind, title="Ada\nmentioned you", **fields)


def due_again():
    """Whatever waits is due, and every server may be tried again."""
    Delivery.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    CircuitBreaker.objects.update(open_until=timezone.now() - timedelta(seconds=1))


# ---- planning ----


def test_each_channel_that_is_wanted_and_can_be_reached_gets_one_row(rep):
    notified(rep)
    assert planning.plan() == 1
    assert list(Delivery.objects.values_list("channel", "status")) == [("email", "queued")]
    assert planning.plan() == 0
    Notification.objects.update(channels_planned_at=None)
    planning.plan()
    assert Delivery.objects.count() == 1, "at most once per notification and channel"


def test_preferences_and_addresses_choose_the_channels(rep, make_user):
    rep.phone = "+14155550123"
    rep.save()
    NotificationPreferenceFactory(user=rep, channels={"sms": True, "email": False})
    PushSubscription.objects.create(user=rep, endpoint="https://push.example/1", p256dh="x", auth="y")
    notified(rep, "reminder")
    nobody = make_user("rep")
    nobody.email = ""
    nobody.save()
    notified(nobody, "reminder")
    planning.plan()
    found = Delivery.objects.order_by("channel").values_list("channel", "notification__recipient")
    assert list(found) == [("push", rep.pk), ("sms", rep.pk)]


def test_what_is_not_wanted_in_the_inbox_is_not_there(api, rep):
    NotificationPreferenceFactory(user=rep, matrix={"update": {"in_app": False}})
    notified(rep, "update")
    notified(rep, "mention")
    planning.plan()
    page = api(rep).get("/api/v1/notifications/").json()
    assert [n["type"] for n in page["results"]] == ["mention"]


def test_planning_costs_the_same_for_any_number_of_receivers(make_user, django_assert_num_queries):
    users = [make_user("rep") for _ in range(15)]
    for user in users[:2]:
        notified(user)
    with django_assert_num_queries(7):
        planning.plan_once()
    for user in users:
        notified(user)
    with django_assert_num_queries(7):
        planning.plan_once()


def test_quiet_hours_hold_and_do_not_drop(rep):
    NotificationPreferenceFactory(user=rep, quiet=True, quiet_days=["sat"])
    with time_machine.travel(datetime(2026, 1, 10, 23, tzinfo=UTC), tick=False):
        notified(rep)
        planning.plan()
    assert Delivery.objects.get().due_at == datetime(2026, 1, 11, 7, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["Mars/Phobos", "Europe", "../etc", ""])
def test_a_zone_that_is_none_is_utc_and_holds_up_nobody(rep, admin_user, zone):
    User.objects.filter(pk=rep.pk).update(time_zone=zone)
    NotificationPreferenceFactory(user=rep, quiet=True, quiet_days=["sat"])
    with time_machine.travel(datetime(2026, 1, 10, 23, tzinfo=UTC), tick=False):
        notified(rep)
        notified(admin_user)
        planning.plan()
        send_digests()
    assert Delivery.objects.get(notification__recipient=rep).due_at == datetime(2026, 1, 11, 7, tzinfo=UTC)
    assert Delivery.objects.filter(notification__recipient=admin_user).exists()


# ---- e-mail ----


class Mailbox:
    """Takes mail, or refuses it as told."""

    def __init__(self):
        self.mails, self.answer, self.at_data = [], None, None

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if self.answer:
            return self.answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.at_data:
            return self.at_data
        self.mails.append(envelope)
        return "250 OK"


@pytest.fixture
def mailbox(settings):
    """A real SMTP server on loopback that Django sends to."""
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=0)
    controller.port = _free_port()
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", controller.port
    yield box
    controller.stop()


def _free_port():
    from backend.development.embedded import ports

    return ports.any_free()


def sent_mail(mailbox):
    from email import message_from_bytes, policy

    (envelope,) = mailbox.mails
    return message_from_bytes(envelope.content, policy=policy.default)


def test_a_mail_is_sent_with_text_html_and_one_click_unsubscribing(rep, mailbox):
    row = notified(rep, body="Please <look>")
    planning.plan()
    assert sending.send_due() == 1
    mail_ = sent_mail(mailbox)
    assert mailbox.mails[0].rcpt_tos == [rep.email]
    assert mail_["Subject"] == "Ada mentioned you"
    assert mail_["Message-ID"] == f"<notification-{row.pk}-email@127.0.0.1>"
    assert mail_["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail_["Auto-Submitted"] == "auto-generated"
    text, html = (part.get_content() for part in mail_.iter_parts())
    assert "Please <look>" in text
    assert "Please &lt;look&gt;" in html
    assert f"http://127.0.0.1:8000/admin/core/notification/{row.pk}/change/" in text
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempts) == ("sent", 1)
    assert delivery.sent_at is not None
    assert sending.send_due() == 0
    link = urlsplit(mail_["List-Unsubscribe"].strip(" <>"))
    browser = Client(enforce_csrf_checks=True)
    assert b"No more mails like this?" in browser.get(f"{link.path}?{link.query}").content
    assert not NotificationPreference.objects.filter(user=rep).exists(), "looking changes nothing"
    assert browser.post(f"{link.path}?{link.query}", {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert NotificationPreference.objects.get(user=rep).matrix == {"mention": {"email": False}}
    assert browser.post(f"{link.path}?token=x").status_code == 400


def test_a_mail_about_a_record_leads_to_its_page(rep, mailbox, settings):
    lead = LeadFactory(owner=rep)
    notified(rep, entity="lead", object_id=lead.pk)
    planning.plan()
    assert sending.send_due() == 1
    text = next(sent_mail(mailbox).iter_parts()).get_content()
    assert f"/admin/lead_management/lead/{lead.pk}/change/" in text


@pytest.mark.parametrize("forged", ["x", "", "WzEsImRpZ2VzdCJd", "WzEsImRpZ2VzdCJd:1xUlhl:" + "A" * 43])
def test_who_unsubscribes_is_proven_by_the_signature(rep, forged):
    address = "/api/v1/notifications/unsubscribe/"
    assert Client().post(address, {}, QUERY_STRING=f"token={forged}").status_code == 400
    assert not NotificationPreference.objects.exists()


def test_unsubscribing_from_digests_ends_the_weekly_one_too(rep, make_user):
    other = make_user("rep")
    for user in (rep, other):
        NotificationPreferenceFactory(user=user, daily_digest=True, weekly_digest=True)
    link = urlsplit(email.unsubscribe_url(rep.pk, "digest"))
    assert Client().post(f"{link.path}?{link.query}").status_code == 200
    wanted = NotificationPreference.objects.values_list("user", "daily_digest", "weekly_digest", "matrix")
    assert set(map(str, wanted)) == {str((rep.pk, False, False, {})), str((other.pk, True, True, {}))}


def test_an_address_refused_for_good_is_disabled_until_its_user_enables_it(api, rep, mailbox):
    mailbox.answer = "550 5.1.1 No such user"
    notified(rep)
    planning.plan()
    sending.send_due()
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempts) == ("failed", 1)
    assert delivery.error.startswith("550")
    mailbox.answer = None
    notified(rep)
    planning.plan()
    sending.send_due()
    assert Delivery.objects.first().status == "skipped"
    assert mailbox.mails == []
    client = api(rep)
    url = "/api/v1/notifications/disabled_addresses/"
    assert [a["address"] for a in client.get(url).json()["results"]] == [rep.email]
    assert client.delete(url).status_code == 204
    assert not SuppressedAddress.objects.exists()


def test_a_passing_refusal_is_tried_again_later(rep, mailbox):
    mailbox.answer = "451 4.7.1 Come back later"
    notified(rep)
    planning.plan()
    sending.send_due()
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempts) == ("queued", 1)
    assert timedelta(seconds=20) < delivery.due_at - timezone.now() < timedelta(seconds=40)
    mailbox.answer = None
    due_again()
    assert sending.send_due() == 1
    assert len(mailbox.mails) == 1
    assert not SuppressedAddress.objects.exists()


def test_a_message_refused_for_its_content_does_not_disable_the_address(rep, mailbox):
    mailbox.at_data = "554 5.7.1 Spam"
    notified(rep)
    planning.plan()
    sending.send_due()
    assert Delivery.objects.get().status == "failed"
    assert not SuppressedAddress.objects.exists()


def test_a_mail_server_that_is_away_is_tried_six_times_and_no_more(rep, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", _free_port()
    notified(rep)
    planning.plan()
    for attempt in range(1, 7):
        due_again()
        assert sending.send_due() == 1
        assert Delivery.objects.get().attempts == attempt
    assert Delivery.objects.get().status == "failed"
    due_again()
    assert sending.send_due() == 0


@pytest.mark.parametrize("change", ["read", "archived", "turned off", "inactive"])
def test_what_is_settled_by_now_is_not_sent(rep, change):
    notified(rep)
    planning.plan()
    if change == "read":
        Notification.objects.update(read_at=timezone.now())
    elif change == "archived":
        Notification.objects.update(archived_at=timezone.now())
    elif change == "turned off":
        NotificationPreferenceFactory(user=rep, matrix={"mention": {"email": False}})
    else:
        rep.is_active = False
        rep.save()
    sending.send_due()
    assert Delivery.objects.get().status == "skipped"
    assert mail.outbox == []


def test_nothing_is_sent_about_what_is_no_longer_visible(admin_user, rep, new_lead, make_user):
    from core.changes import audit_context
    from core.changes.dispatch import dispatch

    lead = new_lead(admin_user, owner=admin_user, assigned_to=rep)
    dispatch()
    planning.plan()
    with audit_context():
        Lead.objects.filter(pk=lead.pk).update(assigned_to=make_user("rep"))
    sending.send_due()
    assert Delivery.objects.get(notification__recipient=rep).status == "skipped"
    assert mail.outbox == []


def test_hours_that_became_quiet_hold_it_without_costing_an_attempt(rep):
    notified(rep)
    planning.plan()
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    NotificationPreferenceFactory(user=rep, quiet=True, silent_days=days)
    sending.send_due()
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempts) == ("queued", 0)
    assert delivery.due_at > timezone.now()


def test_what_nobody_foresaw_is_tried_again_and_holds_up_no_other(rep, admin_user, monkeypatch):
    notified(rep)
    notified(admin_user)
    planning.plan()
    handed = sending.channels["email"]

    def broken(message):
        if message.user == rep:
            raise ZeroDivisionError("nobody thought of it")
        handed(message)

    monkeypatch.setitem(sending.channels._items, "email", broken)
    assert sending.send_due() == 2
    assert [sent.to for sent in mail.outbox] == [[admin_user.email]]
    first = Delivery.objects.get(notification__recipient=rep)
    assert (first.status, first.attempts, first.error) == (
        "queued",
        1,
        "It could not be made: ZeroDivisionError.",
    )


def test_mails_go_on_for_who_wants_nothing_of_it_in_the_inbox(rep, new_lead, admin_user):
    """No row stays unread in the inbox, so none takes in what comes later."""
    from core.activities import mentions
    from core.changes.dispatch import dispatch

    NotificationPreferenceFactory(user=rep, matrix={"comment": {"in_app": False, "email": True}})
    lead = new_lead(admin_user, owner=rep)
    dispatch()
    for n in range(3):
        mentions.create_comment(entity="lead", object_id=lead.pk, body=f"Call {n}", author=admin_user)
        dispatch()
        planning.plan()
        sending.send_due()
    assert len(mail.outbox) == 3


def test_who_lost_the_lease_writes_nothing(rep, monkeypatch):
    notified(rep)
    planning.plan()
    attempt = sending.DeliveryBatch._attempt

    def overtaken(batch, row, options):
        Delivery.objects.update(fence=row.fence + 1)
        return attempt(batch, row, options)

    monkeypatch.setattr(sending.DeliveryBatch, "_attempt", overtaken)
    sending.send_batch()
    assert Delivery.objects.get().status == "queued"


def test_what_does_not_fit_into_the_lease_is_given_back(make_user, monkeypatch):
    for user in [make_user("rep") for _ in range(3)]:
        notified(user)
    planning.plan()
    attempt, clock = sending.DeliveryBatch._attempt, SimpleNamespace(monotonic=lambda: 0.0)

    def slowly(batch, row, options):
        clock.monotonic = lambda: 1_000.0  # the first takes a quarter of an hour
        return attempt(batch, row, options)

    monkeypatch.setattr(sending, "time", clock)
    monkeypatch.setattr(sending.DeliveryBatch, "_attempt", slowly)
    assert sending.send_batch() == 3
    found = sorted(Delivery.objects.values_list("status", "attempts"))
    assert found == [("queued", 0), ("queued", 0), ("sent", 1)]
    assert sending.send_batch() == 2


def test_a_lease_that_ran_out_is_taken_up_again(rep):
    notified(rep)
    planning.plan()
    with connection.cursor() as cursor:
        cursor.execute(claiming._CLAIM, {"lease": claiming.LEASE, "batch": 5, "without": []})
    assert sending.send_due() == 0, "someone holds it"
    due_again()
    assert sending.send_due() == 1
    assert len(mail.outbox) == 1


def test_a_mail_server_that_is_away_is_asked_once_for_all(make_user, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", ports.any_free()
    for user in [make_user("rep") for _ in range(30)]:
        notified(user)
    planning.plan()
    assert sending.send_due() == 20, "one batch finds out"
    assert sorted(Delivery.objects.values_list("attempts", flat=True)) == [0] * 29 + [1]
    assert set(Delivery.objects.values_list("status", flat=True)) == {"queued"}
    assert sending.send_due() == 0, "and nobody asks again before its time"
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    due_again()
    sending.send_due()
    assert len(mail.outbox) == 30
    assert CircuitBreaker.objects.count() == 0


def test_visibility_is_asked_once_for_a_batch(make_user):
    lead = LeadFactory(first_name="Ada")
    for number in (2, 12):
        users = [make_user("admin") for _ in range(number)]
        for user in users:
            notified(user, entity="lead", object_id=lead.pk)
        planning.plan()
        with CaptureQueriesContext(connection) as found:
            assert sending.send_batch() == number
        asked = [q["sql"] for q in found if "lead_management_lead" in q["sql"]]
        assert len(asked) == 1


# ---- text messages ----


@pytest.fixture
def provider(settings):
    """A provider of text messages on loopback, as Twilio's API looks."""
    with receiver() as found:
        settings.CRM = {"OUTBOUND_ALLOWED_HOSTS": (found.host,), "OUTBOUND_PLAIN_HTTP": True}
        settings.SMS_BACKEND = "core.notifications.channels.sms.http"
        settings.SMS_URL = found.url("/2010-04-01/Accounts/AC1/Messages.json")
        settings.SMS_ACCOUNT, settings.SMS_TOKEN, settings.SMS_FROM = "AC1", "secret", "+15005550006"
        yield found


@pytest.fixture
def texted(rep):
    """A rep with a phone who wants text messages, and one waiting."""
    rep.phone = "+14155550123"
    rep.save()
    NotificationPreferenceFactory(user=rep, channels={"sms": True, "email": False})
    notified(rep, "reminder")
    planning.plan()
    return rep


def test_a_text_message_is_posted_to_the_provider(texted, provider):
    provider.answer = lambda received: (201, {}, b'{"sid": "SM1"}')
    sending.send_due()
    (request,) = provider.requests
    form = {key: value[0] for key, value in parse_qs(request.body.decode()).items()}
    assert (form["To"], form["From"]) == ("+14155550123", "+15005550006")
    assert form["Body"].startswith("Ada mentioned you http://127.0.0.1:8000/admin/core/notification/")
    assert base64.b64decode(request.headers["authorization"].split()[1]) == b"AC1:secret"
    assert Delivery.objects.get().status == "sent"


@pytest.mark.parametrize(
    ("status", "body", "outcome", "dead"),
    [
        (400, {"code": 21211}, "failed", True),
        (400, {"code": 21610}, "failed", True),
        (400, {"code": 21602}, "failed", False),
        (400, "no object", "failed", False),
        (429, {}, "queued", False),
        (503, {}, "queued", False),
        (401, {}, "queued", False),
        (302, {}, "failed", False),
    ],
)
def test_refusals_of_the_provider(texted, provider, status, body, outcome, dead):
    provider.answer = lambda received: (status, {}, json.dumps(body).encode())
    sending.send_due()
    assert Delivery.objects.get().status == outcome
    assert SuppressedAddress.objects.filter(address="+14155550123").exists() is dead


def test_the_file_and_console_backends(texted, settings, tmp_path, capsys):
    settings.SMS_BACKEND, settings.SMS_FILE_PATH = "core.notifications.channels.sms.file", tmp_path
    sending.send_due()
    (line,) = (tmp_path / "sms.jsonl").read_text().splitlines()
    assert json.loads(line)["to"] == "+14155550123"
    notified(texted, "reminder")
    planning.plan()
    settings.SMS_BACKEND = "core.notifications.channels.sms.console"
    sending.send_due()
    assert capsys.readouterr().out.startswith("SMS to +14155550123: Ada mentioned you")


# ---- web push ----


class Browser:
    """What a browser keeps of a subscription, and what it does with a message."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.auth = secrets.token_bytes(16)

    @property
    def keys(self):
        point = self.key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        return {"p256dh": _b64(point), "auth": _b64(self.auth)}

    def read(self, body):
        return json.loads(
            http_ece.decrypt(body, private_key=self.key, auth_secret=self.auth, version="aes128gcm")
        )


def _b64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


# As long as a key and marked as one, but a point that nobody can agree on a secret with.
OFF_THE_CURVE = _b64(b"\x04" + bytes(64))


@pytest.fixture
def push_service(settings):
    with receiver(lambda received: (201, {}, b"")) as found:
        settings.CRM = {"OUTBOUND_ALLOWED_HOSTS": (found.host,), "OUTBOUND_PLAIN_HTTP": True}
        yield found


def subscribe(client, endpoint, browser):
    return client.post("/api/v1/notifications/push/", {"endpoint": endpoint, "keys": browser.keys})


@pytest.fixture
def pushed(api, rep, push_service):
    """A rep with two browsers, and a message waiting for them."""
    browsers = [Browser(), Browser()]
    for i, browser in enumerate(browsers):
        assert subscribe(api(rep), push_service.url(f"/push/{i}"), browser).status_code == 201
    NotificationPreferenceFactory(user=rep, channels={"email": False})
    notified(rep, body="Look")
    planning.plan()
    return browsers


def test_each_browser_can_read_its_message_and_check_who_sent_it(pushed, push_service):
    sending.send_due()
    assert [r.path for r in push_service.requests] == ["/push/0", "/push/1"]
    for request, browser in zip(push_service.requests, pushed, strict=True):
        shown = browser.read(request.body)
        assert (shown["title"], shown["body"], shown["type"]) == ("Ada\nmentioned you", "Look", "mention")
        assert request.headers["content-encoding"] == "aes128gcm"
        assert request.headers["ttl"] == "86400"
        scheme, parts = request.headers["authorization"].split(" ", 1)
        fields = dict(part.strip().split("=", 1) for part in parts.split(","))
        assert (scheme, fields["k"]) == ("vapid", push.public_key())
        point = base64.urlsafe_b64decode(fields["k"] + "==")
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        claims = jwt.decode(fields["t"], public, algorithms=["ES256"], audience=f"http://{push_service.host}")
        assert claims["sub"].startswith("mailto:")
    assert Delivery.objects.get().status == "sent"


def test_a_browser_that_has_gone_is_forgotten(pushed, push_service):
    push_service.answer = lambda received: (410 if received.path.endswith("0") else 201, {}, b"")
    sending.send_due()
    assert [s.endpoint for s in PushSubscription.objects.all()] == [push_service.url("/push/1")]
    assert Delivery.objects.get().status == "sent"


@pytest.mark.parametrize("status", [400, 401, 413])
def test_a_browser_whose_service_refused_one_message_is_kept(pushed, push_service, status):
    push_service.answer = lambda received: (status, {}, b"")
    sending.send_due()
    assert PushSubscription.objects.count() == 2
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.error) == ("failed", f"The push service answered {status}.")


def test_push_services_are_given_the_address_of_the_sender_without_a_name(pushed, push_service, settings):
    settings.DEFAULT_FROM_EMAIL = "The CRM <crm@firm.example>"
    sending.send_due()
    token = push_service.requests[0].headers["authorization"].split("t=")[1].split(",")[0]
    assert jwt.decode(token, options={"verify_signature": False})["sub"] == "mailto:crm@firm.example"


def test_a_retry_reaches_only_the_browser_that_has_not_got_it(pushed, push_service):
    push_service.answer = lambda received: (503 if received.path.endswith("0") else 201, {}, b"")
    sending.send_due()
    assert Delivery.objects.get().status == "queued"
    push_service.answer = lambda received: (201, {}, b"")
    push_service.requests.clear()
    due_again()
    sending.send_due()
    assert [r.path for r in push_service.requests] == ["/push/0"]
    assert Delivery.objects.get().status == "sent"


def test_a_browser_nothing_can_be_encrypted_for_stops_nobody(pushed, admin_user):
    PushSubscription.objects.update(p256dh=OFF_THE_CURVE)
    notified(admin_user)
    planning.plan()
    sending.send_due()
    assert not PushSubscription.objects.exists()
    assert [sent.to for sent in mail.outbox] == [[admin_user.email]]


def test_no_browser_left_is_the_end(pushed, push_service):
    push_service.answer = lambda received: (404, {}, b"")
    sending.send_due()
    assert Delivery.objects.get().status == "failed"
    assert not PushSubscription.objects.exists()


def test_another_users_endpoint_is_taken_over_by_its_own_browser_alone(api, rep, make_user, push_service):
    endpoint, browser, other = push_service.url("/push/1"), Browser(), make_user("rep")
    assert subscribe(api(rep), endpoint, browser).status_code == 201
    refused = subscribe(api(other), endpoint, Browser())
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/endpoint-taken")
    kept = PushSubscription.objects.get()
    assert (kept.user, kept.auth) == (rep, browser.keys["auth"])
    assert subscribe(api(rep), endpoint, Browser()).status_code == 201, "one's own takes new keys"
    own = Browser()
    assert subscribe(api(rep), endpoint, own).status_code == 201
    assert subscribe(api(other), endpoint, own).status_code == 201, "two people share this browser"
    assert PushSubscription.objects.get().user == other


def test_browsers_are_ones_own_and_their_keys_are_not_shown(api, rep, make_user, push_service):
    made = subscribe(api(rep), push_service.url("/p"), Browser()).json()
    assert "keys" not in made
    assert "auth" not in made
    other = api(make_user("viewer"))
    assert other.get("/api/v1/notifications/push/").json()["count"] == 0
    assert other.delete(f"/api/v1/notifications/push/{made['id']}/").status_code == 404
    assert api(rep).delete(f"/api/v1/notifications/push/{made['id']}/").status_code == 204
    assert other.get("/api/v1/notifications/push/key/").json()["public_key"] == push.public_key()
    assert subscribe(other, push_service.url("/p"), Browser()).status_code == 201


@pytest.mark.parametrize(
    "change",
    [
        {"endpoint": "http://169.254.169.254/latest/"},
        {"endpoint": "https://127.0.0.1/x"},
        {"endpoint": "ftp://push.example/1"},
        {"keys": {"p256dh": "AAAA", "auth": _b64(b"0" * 16)}},
        {"keys": {"p256dh": "…", "auth": ""}},
        {"keys": {"p256dh": OFF_THE_CURVE, "auth": _b64(b"0" * 16)}},
        {"keys": None},
    ],
)
def test_wrong_subscriptions_are_refused(api, rep, change):
    body = {"endpoint": "https://push.example.com/1", "keys": Browser().keys} | change
    assert api(rep).post("/api/v1/notifications/push/", body).status_code == 400
    assert not PushSubscription.objects.exists()


def test_of_very_many_browsers_the_newest_are_kept(api, rep, make_user):
    other = make_user("rep")
    keys = {"p256dh": Browser().keys["p256dh"], "auth": Browser().keys["auth"]}
    PushSubscription.objects.create(user=other, endpoint="https://push.example.com/other", **keys)
    client, browser = api(rep), Browser()
    for i in range(22):
        assert subscribe(client, f"https://push.example.com/{i}", browser).status_code == 201
    kept = PushSubscription.objects.filter(user=rep).order_by("pk").values_list("endpoint", flat=True)
    assert list(kept) == [f"https://push.example.com/{i}" for i in range(2, 22)]
    assert PushSubscription.objects.filter(user=other).count() == 1
