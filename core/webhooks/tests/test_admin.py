"""Webhooks in the admin site: tested, sent again and switched on by who may do so over the API."""

import pytest

from core.accounts.tests.factories import UserFactory
from core.webhooks.models import WebhookDelivery
from core.webhooks.tests.factories import WebhookDeliveryFactory, WebhookSubscriptionFactory

pytestmark = pytest.mark.django_db
SENT = {"verb_sent": "1"}


def page(row, below="change"):
    return f"/admin/core/{row._meta.model_name}/{row.pk}/{below}/"


@pytest.fixture
def webhook():
    return WebhookSubscriptionFactory(is_enabled=False, owner=UserFactory(admin=True, is_staff=True))


def test_deliveries_are_listed_tested_and_sent_again(client, webhook):
    client.force_login(webhook.owner)
    failed = WebhookDeliveryFactory(subscription=webhook, status="failed", error="no answer")
    shown = client.get(page(webhook)).context["deliveries"]
    assert [(one["title"], one["error"]) for one in shown] == [(f"{failed.event} {failed.pk}", "no answer")]
    assert client.get(page(failed, "redeliver")).status_code == 200
    failed.refresh_from_db()
    assert failed.status == "failed"
    client.post(page(failed, "redeliver"), SENT)
    failed.refresh_from_db()
    assert (failed.status, failed.error) == ("queued", "")
    assert client.post(page(failed, "redeliver"), SENT).status_code == 403
    WebhookDelivery.objects.update(status="failed")
    client.post(page(webhook, "redeliver"), SENT)
    failed.refresh_from_db()
    assert failed.status == "queued"
    client.post(page(webhook, "test"), SENT)
    assert webhook.deliveries.latest("id").event == "webhook.test"
    client.post(page(webhook, "enable"), SENT)
    webhook.refresh_from_db()
    assert webhook.is_enabled


def test_who_does_not_write_automation_sends_nothing(client, webhook):
    failed = WebhookDeliveryFactory(subscription=webhook, status="failed")
    for role in ("rep", "manager"):
        client.force_login(UserFactory(role=role, is_staff=True))
        assert client.post(page(failed, "redeliver"), SENT).status_code in (302, 403, 404)
        assert client.post(page(webhook, "test"), SENT).status_code in (302, 403, 404)
    failed.refresh_from_db()
    assert (failed.status, webhook.deliveries.count()) == ("failed", 1)
