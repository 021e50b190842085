"""By web push (RFC 8030), encrypted for the browser (RFC 8291) and signed with our VAPID key (RFC 8292)."""

import time
from email.utils import parseaddr
from urllib.parse import urlsplit

import orjson
from cryptography.hazmat.primitives import serialization
from django.conf import settings
from django.utils import timezone
from py_vapid import Vapid02, b64urlencode

from core.notifications.channels import (
    CircuitOpenError,
    Message,
    PermanentError,
    TransientError,
    channels,
)
from core.notifications.models import PushKey, PushSubscription
from core.notifications.types import types
from core.notifications.wording import body_of, title_of
from core.outbound import client
from core.outbound.addresses import AddressRefusedError
from core.outbound.sealing import seal, unseal
from core.retry import is_transient, retry_after_of

# How long a push service keeps a message for a browser that is away.
TTL_S = 86_400
TOKEN_S = 12 * 3600
# What push services take at least (RFC 8030 section 7.2), less the encryption's overhead.
MAX_BODY = 200
GONE = (403, 404, 410)


class GoneError(PermanentError):
    """This browser will never take anything from us again."""


def public_key() -> str:
    """The installation's VAPID key for browsers, base64url without padding; made at the first call."""
    return _key().public


def _key() -> PushKey:
    found = PushKey.objects.filter(pk=1).first()
    if found is None:
        vapid = Vapid02()
        vapid.generate_keys()
        PushKey.objects.bulk_create([_stored(vapid)], ignore_conflicts=True)
        found = PushKey.objects.get(pk=1)
    return found


def _stored(vapid: Vapid02) -> PushKey:
    point = vapid.public_key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    return PushKey(pk=1, private=seal(vapid.private_pem().decode()), public=b64urlencode(point))


def send(message: Message) -> None:
    """To every browser of the user that has not got it yet. Raises TransientError if one of them must be
    tried again and PermanentError when none took it; a browser that has gone is forgotten, and not one whose
    push service refused this message: that may be our fault."""
    body = payload(message)
    waiting = PushSubscription.objects.filter(user=message.user).exclude(pk__in=message.done)
    again: list[TransientError | CircuitOpenError] = []
    refused: list[PermanentError] = []
    for device in waiting.order_by("pk"):
        try:
            _send_to(device, body, message)
            message.done.append(device.pk)
        except GoneError:
            device.delete()
        except PermanentError as error:
            refused.append(error)
        except (TransientError, CircuitOpenError) as error:
            again.append(error)
    if again:
        raise again[0]
    if not message.done:
        raise refused[0] if refused else PermanentError("No browser takes push any more.")


def payload(message: Message) -> bytes:
    """What the service worker is given."""
    row = message.notification
    shown = {
        "id": row.pk,
        "type": row.type,
        "title": title_of(row),
        "body": body_of(row)[:MAX_BODY],
        "url": message.url,
    }
    return orjson.dumps(shown)


def _encrypted(device: PushSubscription, body: bytes) -> bytes:
    """The body for this browser. Raises GoneError where nothing can be encrypted for its keys."""
    # It loads aiohttp, which no process needs that sends no push.
    from pywebpush import WebPusher, WebPushException

    keys = {"p256dh": device.p256dh, "auth": device.auth}
    try:
        return bytes(WebPusher({"endpoint": device.endpoint, "keys": keys}).encode(body, "aes128gcm")["body"])
    except (ValueError, WebPushException) as error:
        raise GoneError("Nothing can be encrypted for these keys.") from error


def _send_to(device: PushSubscription, body: bytes, message: Message) -> None:
    encrypted = _encrypted(device, body)
    found = types.get(message.notification.type)
    headers = {
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": str(TTL_S),
        "Urgency": "high" if found and found.urgent else "normal",
        # A repetition takes the place of the first where the browser has not fetched it yet.
        "Topic": f"n{message.notification.pk}",
        **_signed(device.endpoint),
    }
    service = f"push:{urlsplit(device.endpoint).netloc}"
    if service in message.open_circuits:
        raise CircuitOpenError
    try:
        reply = client.send(client.Request(device.endpoint, headers=headers, body=encrypted))
    except AddressRefusedError as error:
        raise GoneError(str(error)) from error
    except client.UnreachableError as error:
        raise TransientError(str(error), unreachable=service) from error
    _judge(reply)
    PushSubscription.objects.filter(pk=device.pk).update(last_used_at=timezone.now())


def _judge(reply: client.Reply) -> None:
    """404 and 410 say that the subscription is gone (RFC 8030 section 7.3); 403 that it is another key's."""
    if reply.status < 300:
        return
    if is_transient(reply.status):
        raise TransientError(
            f"The push service answered {reply.status}.", retry_after=retry_after_of(reply.headers)
        )
    kind = GoneError if reply.status in GONE else PermanentError
    raise kind(f"The push service answered {reply.status}.")


def _signed(endpoint: str) -> dict[str, str]:
    parts = urlsplit(endpoint)
    claims = {
        "aud": f"{parts.scheme}://{parts.netloc}",
        "exp": int(time.time()) + TOKEN_S,
        # The address alone: services refuse "CRM <crm@…>".
        "sub": f"mailto:{parseaddr(settings.DEFAULT_FROM_EMAIL)[1]}",
    }
    vapid = Vapid02.from_pem(unseal(_key().private).encode())
    return vapid.sign(claims)


channels.register("push", send)
