"""By text message, through a backend as Django's mail has them: console, file, or a provider's HTTP API."""

import base64
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.utils.module_loading import import_string

from core.entities.field_types import Phone
from core.errors import ValueRefusedError
from core.notifications.channels import Message, PermanentError, TransientError, channels
from core.notifications.wording import title_of
from core.outbound import client
from core.outbound.addresses import AddressRefusedError
from core.retry import is_transient, retry_after_of

log = logging.getLogger(__name__)
# Two parts of a concatenated message in GSM-7.
MAX_LENGTH = 306
# Twilio's errors that lie in the number: no number, not reachable, no mobile, unsubscribed.
DEAD_NUMBER = {21211, 21214, 21217, 21408, 21610, 21612, 21614}
Backend = Callable[[str, str, str], None]


def send(message: Message) -> None:
    """One text message. Raises PermanentError and TransientError."""
    kind = Phone()
    try:
        number = kind.to_internal_value(message.user.phone)
    except ValueRefusedError as error:
        raise PermanentError("This is no phone number.", address=message.user.phone) from error
    if kind.warning(number):
        raise PermanentError("This number has no country code.", address=message.user.phone)
    backend: Backend = import_string(settings.SMS_BACKEND)
    backend(number, text_of(message), message.key)


def text_of(message: Message) -> str:
    """Title and address, at most MAX_LENGTH characters."""
    room = MAX_LENGTH - len(message.url) - 1
    title = " ".join(title_of(message.notification).split())
    return f"{title if len(title) <= room else title[: room - 1] + '…'} {message.url}".strip()


def console(number: str, text: str, key: str) -> None:
    """For development: writes to standard output."""
    sys.stdout.write(f"SMS to {number}: {text}\n")


def file(number: str, text: str, key: str) -> None:
    """Appends a line of JSON to `sms.jsonl` in SMS_FILE_PATH."""
    folder = Path(settings.SMS_FILE_PATH)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "sms.jsonl").open("a", encoding="utf-8") as handle:
        handle.write(json.dumps({"to": number, "text": text, "key": key}) + "\n")


def http(number: str, text: str, key: str) -> None:
    """An API in the shape of Twilio's: a form with To, From and Body, posted to SMS_URL with basic auth."""
    credentials = base64.b64encode(f"{settings.SMS_ACCOUNT}:{settings.SMS_TOKEN}".encode()).decode()
    if not settings.SMS_URL:
        raise PermanentError("No provider of text messages is set up (SMS_URL).")
    headers = {
        "Authorization": f"Basic {credentials}",
        "Content-Type": "application/x-www-form-urlencoded",
        "Idempotency-Key": key,
    }
    form = urlencode({"To": number, "From": settings.SMS_FROM, "Body": text}).encode()
    try:
        reply = client.send(client.Request(settings.SMS_URL, headers=headers, body=form))
    except (client.UnreachableError, AddressRefusedError) as error:
        reason = f"The provider could not be reached: {error}"
        raise TransientError(reason, unreachable=breaker_name()) from error
    if reply.status >= 300:
        raise _refusal(reply, number)


def breaker_name() -> str:
    """The name of the provider's circuit breaker."""
    return f"sms:{urlsplit(settings.SMS_URL).netloc}"


def _refusal(reply: client.Reply, number: str) -> Exception:
    """401 and 403 are the operator's to mend, so they pass with time."""
    code = _provider_code(reply.body)
    if is_transient(reply.status) or reply.status in (401, 403):
        return TransientError(
            f"The provider answered {reply.status}.", retry_after=retry_after_of(reply.headers)
        )
    dead = number if code in DEAD_NUMBER else ""
    return PermanentError(f"The provider answered {reply.status} (code {code}).", address=dead)


def _provider_code(body: bytes) -> int:
    try:
        found = json.loads(body)
        return int(found["code"])
    except (ValueError, TypeError, KeyError):
        return 0


channels.register("sms", send)
