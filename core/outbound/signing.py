"""Standard Webhooks 1.0: signing what we send, verifying what we are sent.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hashlib
import hmac
import secrets
import time
from binascii import Error as Base64Error
from collections.abc import Iterable, Mapping

from core.errors import ForbiddenError

PREFIX = "whsec_"
SECRET_BYTES = 32
TOLERANCE_S = 300


class SignatureError(ForbiddenError):
    """The message is not signed with a secret we know, or not now."""

    code = "bad_signature"


def new_secret() -> str:
    """A fresh secret, as receivers enter it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The key in a secret: base64 behind the prefix, or any other text as it stands."""
    if secret.startswith(PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except Base64Error:
            pass
    return secret.encode()


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """`v1,<base64 of HMAC-SHA256 over id.timestamp.body>`."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key_of(secret), signed, hashlib.sha256)).decode()


def headers(
    signing_secrets: Iterable[str], message_id: str, body: bytes, timestamp: int | None = None
) -> dict[str, str]:
    """The three headers of one attempt; one signature for each secret that is valid now."""
    now = int(time.time()) if timestamp is None else timestamp
    signatures = [signature(secret, message_id, now, body) for secret in signing_secrets]
    found = {"webhook-id": message_id, "webhook-timestamp": str(now)}
    return found | ({"webhook-signature": " ".join(signatures)} if signatures else {})


def verify(
    signing_secrets: Iterable[str], given: Mapping[str, str], body: bytes, now: float | None = None
) -> str:
    """The id of a genuine message. Raises SignatureError for a forged, altered or old one."""
    message_id, stamp = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
    if not message_id or len(message_id) > 200 or not (stamp.isascii() and stamp.isdigit()):
        raise SignatureError("webhook-id and webhook-timestamp are needed.")
    if abs((time.time() if now is None else now) - int(stamp[:15])) > TOLERANCE_S:
        raise SignatureError("The message is too old or from the future.")
    offered = given.get("webhook-signature", "").split(" ")[:10]
    valid = [signature(secret, message_id, int(stamp), body) for secret in signing_secrets]
    if not any(hmac.compare_digest(a.encode(), b.encode()) for a in offered for b in valid):
        raise SignatureError("No signature fits.")
    return message_id
