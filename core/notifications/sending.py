"""Working off deliveries: by lease, with retries, each at most once per (notification, channel).

No transaction is open while something is sent. A crash in between leaves the lease to run out, and the
message goes out again under the same key: receivers may drop it (docs/notifications.md says how often).
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from core.accounts.models import User
from core.conf import conf
from core.entities import entities
from core.notifications import held_digests, inbox, preferences
from core.notifications.channels import Message, PermanentError, TransientError, channels
from core.notifications.models import DeadAddress, Delivery, Notification
from core.notifications.preferences import Preferences
from core.retry import exponential

log = logging.getLogger(__name__)
BATCH = 20
LEASE = timedelta(seconds=90)
# A server that lets every attempt time out must not outlast the lease, nor the worker's time limit.
HOLD_S = 45.0
# 30 s, 2 min, 8 min, 32 min, 1 h: six attempts within two hours.
RETRIES = exponential(30, 4, retries=5, cap_s=3600)
# Made because someone asked for exactly this, whatever the matrix says.
ASKED_FOR = {"test"}
_CLAIM = """
UPDATE core_delivery SET due_at = clock_timestamp() + %s, fence = fence + 1, attempts = attempts + 1
WHERE id IN (SELECT id FROM core_delivery WHERE status = 'queued' AND due_at <= clock_timestamp()
             ORDER BY due_at, id LIMIT %s FOR UPDATE SKIP LOCKED)
RETURNING id
"""


@dataclass(frozen=True)
class Verdict:
    """What became of an attempt: a status, or the pause before the next."""

    status: str
    error: str = ""
    pause: timedelta = timedelta(0)


def send_due(seconds: float | None = None, stopped: Callable[[], bool] = lambda: False) -> int:
    """Send what is due; after `seconds`, or when `stopped`, nothing more is taken up. Returns how many
    deliveries were."""
    until = time.monotonic() + (seconds if seconds is not None else float("inf"))
    total = 0
    while not stopped() and time.monotonic() < until and (taken := send_batch(stopped)):
        total += taken
    return total


def send_batch(stopped: Callable[[], bool] = lambda: False) -> int:
    """Claim a batch, work it off; returns its size. What would not be sent within the lease, or before the
    stop, is given back."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [LEASE, BATCH])
        ids = [row[0] for row in cursor.fetchall()]
    rows = list(Delivery.objects.select_related("notification").filter(pk__in=ids).order_by("pk"))
    wishes = preferences.load(row.notification.recipient_id for row in rows)
    until = time.monotonic() + HOLD_S
    for number, row in enumerate(rows):
        if stopped() or time.monotonic() > until:
            _give_back(rows[number:])
            break
        _record(row, _attempt(row, wishes[row.notification.recipient_id]))
    return len(ids)


def _give_back(rows: list[Delivery]) -> None:
    """Another may take these up at once; they were not attempted."""
    for row in rows:
        untouched = Delivery.objects.filter(pk=row.pk, fence=row.fence)
        untouched.update(due_at=timezone.now(), attempts=F("attempts") - 1)


def _attempt(row: Delivery, wish: Preferences) -> Verdict:
    """Send, unless by now it should not be: turned off, read, hidden, an address that takes nothing."""
    reason = _reason_to_skip(row, wish)
    if reason:
        return Verdict(Delivery.Status.SKIPPED, reason)
    now = timezone.now()
    held = wish.held_until(row.notification.type, now)
    if held > now:
        return Verdict(Delivery.Status.QUEUED, pause=held - now)
    message = Message(row, row.notification, wish.user, url_of(row), row.done)
    try:
        _send(message)
    except PermanentError as error:
        if error.address:
            disable(row.channel, error.address, str(error))
        return Verdict(Delivery.Status.FAILED, str(error))
    except TransientError as error:
        pause = RETRIES.delay(row.attempts, error.retry_after)
        return Verdict(Delivery.Status.QUEUED, str(error), pause) if pause else Verdict("failed", str(error))
    return Verdict(Delivery.Status.SENT)


def _send(message: Message) -> None:
    """Hand it to its channel. Raises PermanentError and TransientError, whatever happens there: one that
    nobody foresaw is tried again a few times and holds up no other."""
    try:
        channels[message.delivery.channel](message)
    except (PermanentError, TransientError):
        raise
    except Exception as error:
        log.exception("delivery %s cannot be sent", message.delivery.pk)
        raise TransientError(f"It could not be made: {type(error).__name__}.") from error


def _reason_to_skip(row: Delivery, wish: Preferences) -> str:
    told = row.notification
    if not wish.user.is_active:
        return "The user is not active."
    if not _is_wanted(row, wish):
        return "Turned off in the meantime."
    if told.read_at or told.archived_at:
        return "Read already."
    if not _is_visible(told, wish):
        return "About something no longer visible."
    address = address_of(row, wish)
    if address and DeadAddress.objects.filter(channel=row.channel, address=address).exists():
        return "The address takes nothing any more."
    return ""


def _is_wanted(row: Delivery, wish: Preferences) -> bool:
    if row.notification.type == "digest":
        return held_digests.is_wanted(row.notification, wish)
    return row.notification.type in ASKED_FOR or wish.wants(row.notification.type, row.channel)


def _is_visible(told: Notification, wish: Preferences) -> bool:
    """Whether there is something in it that its reader sees now; of a digest only that is left."""
    if told.type == "digest":
        told.data["sections"] = held_digests.sections_now(told, wish)
        return bool(told.data["sections"])
    return inbox.about_visible(wish.user).filter(pk=told.pk).exists()


def address_of(row: Delivery, wish: Preferences) -> str:
    """Where it goes, as DeadAddress keeps it; "" where that is not one address."""
    return {"email": wish.user.email.lower(), "sms": wish.user.phone}.get(row.channel, "")


def disable(channel: str, address: str, reason: str) -> None:
    """Send nothing more to an address that was refused for good."""
    DeadAddress.objects.bulk_create(
        [DeadAddress(channel=channel, address=address.lower(), reason=reason[:300])], ignore_conflicts=True
    )
    log.warning("a %s address was refused for good and is disabled: %s", channel, reason[:100])


def url_of(row: Delivery) -> str:
    """The record in the API, or the inbox."""
    told, base = row.notification, settings.PUBLIC_URL.rstrip("/")
    entity = entities.get(told.entity)
    if entity and told.object_id:
        return conf.RECORD_URL.format(base=base, plural=entity.plural, id=told.object_id)
    return f"{base}/api/v1/notifications/{told.pk}/"


def _record(row: Delivery, verdict: Verdict) -> None:
    """Write the outcome, unless another worker holds the lease by now."""
    values: dict[str, Any] = {"status": verdict.status, "error": verdict.error[:300], "done": row.done}
    now = timezone.now()
    if verdict.status == Delivery.Status.SENT:
        values["sent_at"] = now
    if verdict.status == Delivery.Status.QUEUED:
        values["due_at"] = now + verdict.pause
        # Waiting for the quiet hours to end is no attempt.
        values["attempts"] = row.attempts if verdict.error else row.attempts - 1
    Delivery.objects.filter(pk=row.pk, fence=row.fence).update(**values)


def disabled_of(user: User) -> QuerySet[DeadAddress]:
    """Those of the user's present addresses that take nothing any more."""
    email = Q(channel="email", address=user.email.lower())
    return DeadAddress.objects.filter(email | Q(channel="sms", address=user.phone)).exclude(address="")
