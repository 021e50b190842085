"""What a delivery says and how it is signed. Made at the first attempt and kept: a repetition is the same."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import orjson
from django.utils import timezone

from core.changes.history import shown_changes
from core.changes.models import Change
from core.entities import Entity, entities
from core.entities.reading import Reader
from core.outbound import sealing, signing
from core.outbound.client import Request
from core.webhooks.models import WebhookDelivery, WebhookSubscription

SECRET_HEADERS = {
    "authorization", "cookie", "set-cookie", "x-api-key", "webhook-signature", "proxy-authorization",
}  # fmt: skip


# Those that a workflow names are secrets but for these.
OPEN_HEADERS = {"accept", "accept-language", "content-type"}


class NotForOwnerError(Exception):
    """The owner of the subscription no longer sees the record, or is gone."""


def body_of(delivery: WebhookDelivery) -> str:
    """`{type, timestamp, data}` within what the subscription's owner sees now; at a repetition what was said
    before, if the owner still sees the record. Raises NotForOwnerError."""
    subscription = delivery.subscription
    if subscription is None or delivery.change_id is None:
        return delivery.body or ""
    change = Change.objects.filter(pk=delivery.change_id).first()
    entity = entities[delivery.entity]
    if change is None or not subscription.owner.is_active:
        raise NotForOwnerError
    data = _data(entity, subscription, change)
    if delivery.body is not None:
        return delivery.body
    timestamp = change.at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    message = {"type": delivery.event, "timestamp": timestamp, "data": data}
    return orjson.dumps(message, default=str).decode()


def _data(entity: Entity, subscription: WebhookSubscription, change: Change) -> dict[str, Any]:
    """Thin: which record and which fields. Full: the record, and old and new values too."""
    entity = entity.for_user(subscription.owner)
    pairs = shown_changes(change.changes, entity)
    fields = sorted(pairs)
    data: dict[str, Any] = {
        "id": change.object_id,
        "entity": entity.name,
        "change_id": change.pk,
        "changed": fields,
    }
    if change.kind == Change.Kind.DELETED:
        return data
    rows = entity.visible_to(subscription.owner).filter(pk=change.object_id)
    found = Reader(entity).rows(rows, subscription.owner)
    if not found:
        raise NotForOwnerError
    if subscription.payload == WebhookSubscription.Payload.THIN:
        return data
    return data | {"changes": pairs, "record": found[0]}


def request_of(delivery: WebhookDelivery) -> Request:
    """The signed request of one attempt. `delivery.body` is set."""
    body = (delivery.body or "").encode()
    signed = signing.headers(secrets_of(delivery), delivery.key, body)
    fixed = {**signed, "Idempotency-Key": delivery.key}
    ours = {name.lower() for name in fixed}
    stored = {str(k): sealing.unseal(str(v)) for k, v in delivery.headers.items()}
    given = {name: value for name, value in stored.items() if name.lower() not in ours}
    named = {name.lower() for name in given}
    default = {} if "content-type" in named else {"Content-Type": "application/json"}
    headers = {**default, **given, **fixed}
    url = delivery.subscription.url if delivery.subscription else delivery.url
    return Request(url, delivery.method, headers, body)


def secrets_of(delivery: WebhookDelivery, now: datetime | None = None) -> list[str]:
    """The secrets valid now, the newest first: two during a rotation."""
    subscription = delivery.subscription
    if subscription is None:
        return [sealing.unseal(delivery.secret)] if delivery.secret else []
    found = [sealing.unseal(subscription.secret)]
    until = subscription.old_secret_until
    if subscription.old_secret and until and until > (now or timezone.now()):
        found.append(sealing.unseal(subscription.old_secret))
    return found


def shown_headers(headers: dict[str, str], secret: Iterable[str] = ()) -> dict[str, str]:
    """Headers as the log keeps them: without those that open doors, and those that are `secret`."""
    hidden = SECRET_HEADERS | {name.lower() for name in secret} - OPEN_HEADERS
    return {k: "********" if k.lower() in hidden else v[:500] for k, v in list(headers.items())[:50]}
