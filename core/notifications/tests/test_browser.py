"""In a real browser: the page of web push, its service worker, and the digest as a mail program shows it."""

import base64
import json
import os
from datetime import UTC, datetime

import http_ece
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.core import mail

from core.notifications import sending
from core.notifications.channels import email
from core.notifications.digest import send_digests
from core.notifications.models import Delivery, PushSubscription
from core.notifications.tests.browsing import chromium
from core.notifications.tests.factories import NotificationFactory
from core.tests.receiver import receiver
from tasks.tests.factories import TaskFactory


# Playwright's loop runs in this thread, which Django would call an unsafe place for the database.
@pytest.fixture(autouse=True)
def queries_beside_a_loop(monkeypatch):
    """Playwright's own event loop runs in this thread, which Django takes for a view's."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")


pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

# No push service is reachable from a test: the browser's answer to `subscribe` is the one thing that is
# replaced. Everything after it is real.
SUBSCRIBE = """
PushManager.prototype.subscribe = async function (options) {
  window.askedWith = btoa(String.fromCharCode(...new Uint8Array(options.applicationServerKey)));
  const made = %s;
  return { endpoint: made.endpoint, toJSON: () => made };
};
"""


def b64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def test_a_person_lets_the_browser_take_push_and_sees_one(server, rep, settings):
    key = ec.generate_private_key(ec.SECP256R1())
    encoding, form = serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    point, secret = key.public_key().public_bytes(encoding, form), b"0123456789abcdef"
    with receiver(lambda received: (201, {}, b"")) as service, chromium() as browser:
        settings.CRM = {
            "LIVE_CHECK_S": 0.2,
            "OUTBOUND_ALLOWED_HOSTS": (service.host,),
            "OUTBOUND_PLAIN_HTTP": True,
        }
        made = {"endpoint": service.url("/push/1"), "keys": {"p256dh": b64(point), "auth": b64(secret)}}
        context = browser.new_context(permissions=["notifications"], base_url=f"http://{server}")
        context.add_init_script(SUBSCRIBE % json.dumps(made))
        page = context.new_page()
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto("/push/")
        page.get_by_label("Username").fill(rep.username)
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("That did not work").wait_for()
        page.get_by_label("Password").fill("correct horse battery")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("Signed in.").wait_for()
        page.get_by_role("button", name="Take notifications").click()
        page.get_by_text("This browser takes notifications.").wait_for()
        device = PushSubscription.objects.get(user=rep)
        assert device.endpoint == made["endpoint"]
        assert "Chrome" in device.user_agent
        page.get_by_role("button", name="Send me one").click()
        page.get_by_text("It should appear in a moment").wait_for()

        assert sending.send_due() == 1
        assert Delivery.objects.get().status == "sent"
        (request,) = service.requests
        body = http_ece.decrypt(request.body, private_key=key, auth_secret=secret, version="aes128gcm")
        shown = deliver(context, page, server, body.decode())
        assert shown == [{"title": "Web push works", "body": "This is what a notification looks like."}]
        assert errors == []


def deliver(context, page, server, body):
    """Hand `body` to the real service worker as the browser would, and read what it shows."""
    session = context.new_cdp_session(page)
    found = {}
    session.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda event: found.update({r["scopeURL"]: r["registrationId"] for r in event["registrations"]}),
    )
    session.send("ServiceWorker.enable")
    page.wait_for_function("navigator.serviceWorker.getRegistration('/push').then((r) => r && r.active)")
    while not found:
        page.wait_for_timeout(50)
    session.send(
        "ServiceWorker.deliverPushMessage",
        {"origin": f"http://{server}", "registrationId": next(iter(found.values())), "data": body},
    )
    read = """async () => {
      const registration = await navigator.serviceWorker.getRegistration('/push');
      const shown = await registration.getNotifications();
      return shown.map(({ title, body }) => ({ title, body }));
    }"""
    page.wait_for_function(
        "navigator.serviceWorker.getRegistration('/push').then((r) => r.getNotifications())"
        ".then((n) => n.length)"
    )
    return page.evaluate(read)


@pytest.mark.parametrize("width", [360, 900])
def test_the_digest_reads_well_on_a_phone_and_on_a_desk(rep, width):
    long = "Ring about the annual maintenance contract and its awkward special conditions " * 2
    for title in (long[:200], "<script>document.title = 'hacked'</script>", "Überweisung prüfen"):
        TaskFactory(title=title, assigned_to=rep, due_date=datetime(2026, 5, 1, 9, tzinfo=UTC))
    send_digests(datetime(2026, 5, 5, 8, tzinfo=UTC))
    row = Delivery.objects.select_related("notification").get()
    message = email.composed(email.Message(row, row.notification, rep, "http://127.0.0.1:8000/"))
    with chromium() as browser:
        page = browser.new_context(viewport={"width": width, "height": 800}).new_page()
        page.set_content(message.alternatives[0].content)
        assert page.title() == "Your daily digest, Tuesday 5 May"
        assert page.get_by_role("heading", name="Overdue 3").is_visible()
        assert page.get_by_text("<script>document.title = 'hacked'</script>").is_visible()
        assert page.get_by_text("due date Fri 1 May 09:00").first.is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if folder := os.environ.get("CRM_SCREENSHOTS"):
            page.screenshot(path=f"{folder}/digest-{width}.png", full_page=True)
    assert mail.outbox == []


def test_unsubscribing_in_a_browser_asks_first(server, rep, settings):
    notified = NotificationFactory(recipient=rep, type="mention", title="x")
    settings.PUBLIC_URL = f"http://{server}"
    with chromium() as browser:
        page = browser.new_page()
        page.goto(email.unsubscribe_url(rep.pk, notified.type))
        page.get_by_role("button", name="No more mails").click()
        page.get_by_role("heading", name="Done").wait_for()
    rep.refresh_from_db()
    assert rep.notification_preference.matrix == {"mention": {"email": False}}
