"""What people do with subscriptions and deliveries. Call inside `audit_context`."""

from datetime import datetime, timedelta
from uuid import uuid4

import orjson
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from core import jobs
from core.errors import ConflictError
from core.outbound import sealing, signing
from core.webhooks.consumer import DELIVER_JOB
from core.webhooks.events import TEST
from core.webhooks.models import WebhookDelivery, WebhookSubscription

BOTH_VALID = timedelta(hours=24)
# Redelivered in one request; they are sent two at a time like all others.
REDELIVER_LIMIT = 10_000
Status = WebhookDelivery.Status
ENDED = (Status.DELIVERED, Status.FAILED, Status.CANCELLED)


def give_secret(subscription: WebhookSubscription) -> str:
    """A first secret, which is shown this once. Does not save."""
    secret = signing.new_secret()
    subscription.secret = sealing.seal(secret)
    return secret


def rotate(subscription: WebhookSubscription) -> str:
    """A new secret, shown this once; for 24 hours every request is signed with both."""
    subscription.old_secret, subscription.old_secret_until = subscription.secret, timezone.now() + BOTH_VALID
    secret = give_secret(subscription)
    subscription.save(update_fields=["secret", "old_secret", "old_secret_until", "updated_at"])
    return secret


def enable(subscription: WebhookSubscription) -> None:
    """Switch it on again, with a clean record."""
    subscription.is_enabled, subscription.disabled_reason, subscription.failing_since = True, "", None
    subscription.save(update_fields=["is_enabled", "disabled_reason", "failing_since", "updated_at"])


def redeliver(delivery: WebhookDelivery) -> None:
    """Send it again under the same webhook-id. Raises ConflictError while it is on its way."""
    rows = WebhookDelivery.objects.filter(pk=delivery.pk, status__in=ENDED)
    if not rows.update(status=Status.QUEUED, due_at=Now(), attempts=0, finished_at=None, error=""):
        raise ConflictError(_("It is waiting or on its way already."), code="on_its_way")
    jobs.enqueue(DELIVER_JOB)


def redeliver_failed(subscription: WebhookSubscription, since: datetime) -> int:
    """Send again what failed since a time; returns how many."""
    rows = subscription.deliveries.filter(status__in=(Status.FAILED, Status.CANCELLED), created_at__gte=since)
    ids = list(rows.order_by("id").values_list("pk", flat=True)[:REDELIVER_LIMIT])
    again = WebhookDelivery.objects.filter(pk__in=ids, status__in=ENDED)
    count = again.update(status=Status.QUEUED, due_at=Now(), attempts=0, finished_at=None, error="")
    jobs.enqueue(DELIVER_JOB)
    return count


def send_test(subscription: WebhookSubscription) -> WebhookDelivery:
    """A delivery of a test event."""
    body = {"type": TEST, "timestamp": timezone.now().isoformat(), "data": {"webhook": subscription.pk}}
    made = WebhookDelivery.objects.create(
        key=f"test-{uuid4().hex}",
        subscription=subscription,
        event=TEST,
        lane=f"subscription:{subscription.pk}",
        body=orjson.dumps(body).decode(),
    )
    jobs.enqueue(DELIVER_JOB)
    return made
