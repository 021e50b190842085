"""Working off deliveries: by lease, with retries, each at most once per (notification, channel).

No transaction is open while something is sent. A crash in between leaves the lease to run out, and the
message goes out again under the same key: receivers may drop it (docs/notifications.md says how often).
"""

import contextlib
import logging
import smtplib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.mail import get_connection
from django.db import connection
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from core.conf import conf
from core.entities import entities
from core.notifications import held_digests, inbox, preferences
from core.notifications.channels import LeftAloneError, Message, PermanentError, TransientError, channels, sms
from core.notifications.models import Delivery, Notification, SuppressedAddress
from core.notifications.preferences import Preferences
from core.outbound import breaker
from core.retry import exponential

log = logging.getLogger(__name__)
BATCH = 20
LEASE = timedelta(seconds=90)
# A server that lets every attempt time out must not outlast the lease, nor the worker's time limit.
HOLD_S = 45.0
# When one looks again whether a push service that is left alone is back.
LEFT_ALONE = timedelta(seconds=30)
# 30 s, 2 min, 8 min, 32 min, 1 h: six attempts within two hours.
RETRIES = exponential(30, 4, retries=5, cap_s=3600)
# Made because someone asked for exactly this, whatever the matrix says.
ASKED_FOR = {"test"}
_CLAIM = """
UPDATE core_delivery SET due_at = clock_timestamp() + %(lease)s, fence = fence + 1, attempts = attempts + 1
WHERE id IN (SELECT id FROM core_delivery WHERE status = 'queued' AND due_at <= clock_timestamp()
             AND channel <> ALL(%(closed)s) ORDER BY due_at, id LIMIT %(batch)s FOR UPDATE SKIP LOCKED)
RETURNING id
"""


@dataclass(frozen=True)
class DeliveryResult:
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
    stop, or over a server that turns out to be away, is given back."""
    breakers = breaker.states()
    closed = [channel for channel, name in _servers().items() if breakers.get(name)]
    with connection.cursor() as cursor:
        given: dict[str, Any] = {"lease": LEASE, "batch": BATCH, "closed": closed}
        cursor.execute(_CLAIM, given)
        ids = [row[0] for row in cursor.fetchall()]
    rows = list(Delivery.objects.select_related("notification").filter(pk__in=ids).order_by("pk"))
    if rows:
        DeliveryBatch(rows, breakers).send(stopped)
    return len(ids)


def _servers() -> dict[str, str]:
    """The breakers of the channels that have one server each; push services have their own."""
    return {"email": breaker.mail_server(), "sms": sms.breaker_name()}


class DeliveryBatch:
    """Claimed deliveries and what is known of all of them together: a fixed number of statements."""

    def __init__(self, rows: list[Delivery], breakers: Mapping[str, bool]) -> None:
        self.rows = rows
        self.all_preferences = preferences.load(row.notification.recipient_id for row in rows)
        self.hidden = inbox.hidden_from_recipients([row.notification for row in rows])
        self.dead = self._dead_addresses()
        self.failing = set(breakers)
        self.left_alone = {name for name, is_open in breakers.items() if is_open}
        self.mail_server = get_connection()

    def send(self, stopped: Callable[[], bool]) -> None:
        until = time.monotonic() + HOLD_S
        try:
            for number, row in enumerate(self.rows):
                if stopped() or time.monotonic() > until:
                    _give_back(self.rows[number:])
                    break
                if _servers().get(row.channel) in self.left_alone:
                    _give_back([row])
                    continue
                _record(row, self._attempt(row, self.all_preferences[row.notification.recipient_id]))
        finally:
            self._close_mail_server()

    def _close_mail_server(self) -> None:
        with contextlib.suppress(smtplib.SMTPException, OSError):
            self.mail_server.close()

    def _dead_addresses(self) -> set[tuple[str, str]]:
        wanted = {(row.channel, self._address(row)) for row in self.rows}
        rows = SuppressedAddress.objects.filter(address__in={address for _, address in wanted if address})
        return wanted & set(rows.values_list("channel", "address"))

    def _address(self, row: Delivery) -> str:
        return address_of(row, self.all_preferences[row.notification.recipient_id])

    def _attempt(self, row: Delivery, user_preferences: Preferences) -> DeliveryResult:
        """Send, unless by now it should not be: turned off, read, hidden, an address that takes nothing."""
        reason = self._reason_to_skip(row, user_preferences)
        if reason:
            return DeliveryResult(Delivery.Status.SKIPPED, reason)
        now = timezone.now()
        held = user_preferences.held_until(row.notification.type, now)
        if held > now:
            return DeliveryResult(Delivery.Status.QUEUED, pause=held - now)
        message = Message(
            row,
            row.notification,
            user_preferences.user,
            url_of(row),
            row.done,
            self.mail_server,
            self.left_alone,
        )
        try:
            _send(message)
        except PermanentError as error:
            if error.address:
                disable(row.channel, error.address, str(error))
            return DeliveryResult(Delivery.Status.FAILED, str(error))
        except LeftAloneError:
            return DeliveryResult(Delivery.Status.QUEUED, pause=LEFT_ALONE)
        except TransientError as error:
            return self._transient(row, error)
        self._reached(_servers().get(row.channel, ""))
        return DeliveryResult(Delivery.Status.SENT)

    def _transient(self, row: Delivery, error: TransientError) -> DeliveryResult:
        if error.unreachable:
            breaker.failed(error.unreachable)
            self.left_alone.add(error.unreachable)
            self.failing.add(error.unreachable)
            self._close_mail_server()
        pause = RETRIES.delay(row.attempts, error.retry_after)
        return (
            DeliveryResult(Delivery.Status.QUEUED, str(error), pause)
            if pause
            else DeliveryResult("failed", str(error))
        )

    def _reached(self, name: str) -> None:
        if name in self.failing:
            breaker.succeeded(name)
            self.failing.discard(name)

    def _reason_to_skip(self, row: Delivery, user_preferences: Preferences) -> str:
        notification = row.notification
        if not user_preferences.user.is_active:
            return "The user is not active."
        if not _is_wanted(row, user_preferences):
            return "Turned off in the meantime."
        if notification.read_at or notification.archived_at:
            return "Read already."
        if not self._is_visible(notification, user_preferences):
            return "About something no longer visible."
        if (row.channel, self._address(row)) in self.dead:
            return "The address takes nothing any more."
        return ""

    def _is_visible(self, notification: Notification, user_preferences: Preferences) -> bool:
        """Whether there is something in it that its reader sees now; of a digest only that is left."""
        if notification.type == "digest":
            notification.data["sections"] = held_digests.sections_now(notification, user_preferences)
            return bool(notification.data["sections"])
        return notification.pk not in self.hidden


def _give_back(rows: list[Delivery]) -> None:
    """Another may take these up at once; they were not attempted."""
    for row in rows:
        untouched = Delivery.objects.filter(pk=row.pk, fence=row.fence)
        untouched.update(due_at=timezone.now(), attempts=F("attempts") - 1)


def _send(message: Message) -> None:
    """Hand it to its channel. Raises PermanentError and TransientError, whatever happens there: one that
    nobody foresaw is tried again a few times and holds up no other."""
    try:
        channels[message.delivery.channel](message)
    except (PermanentError, TransientError, LeftAloneError):
        raise
    except Exception as error:
        log.exception("delivery %s cannot be sent", message.delivery.pk)
        raise TransientError(f"It could not be made: {type(error).__name__}.") from error


def _is_wanted(row: Delivery, user_preferences: Preferences) -> bool:
    if row.notification.type == "digest":
        return held_digests.is_wanted(row.notification, user_preferences)
    return row.notification.type in ASKED_FOR or user_preferences.wants(row.notification.type, row.channel)


def address_of(row: Delivery, user_preferences: Preferences) -> str:
    """Where it goes, as SuppressedAddress keeps it; "" where that is not one address."""
    return {"email": user_preferences.user.email.lower(), "sms": user_preferences.user.phone}.get(
        row.channel, ""
    )


def disable(channel: str, address: str, reason: str) -> None:
    """Send nothing more to an address that was refused for good."""
    SuppressedAddress.objects.bulk_create(
        [SuppressedAddress(channel=channel, address=address.lower(), reason=reason[:300])],
        ignore_conflicts=True,
    )
    log.warning("a %s address was refused for good and is disabled: %s", channel, reason[:100])


def url_of(row: Delivery) -> str:
    """The record in the API, or the inbox."""
    notification, base = row.notification, settings.PUBLIC_URL.rstrip("/")
    entity = entities.get(notification.entity)
    if entity and notification.object_id:
        return conf.RECORD_URL.format(base=base, plural=entity.plural, id=notification.object_id)
    return f"{base}/api/v1/notifications/{notification.pk}/"


def _record(row: Delivery, verdict: DeliveryResult) -> None:
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


def disabled_of(user: Any) -> QuerySet[SuppressedAddress]:
    """Those of the user's present addresses that take nothing any more."""
    email = Q(channel="email", address=user.email.lower())
    return SuppressedAddress.objects.filter(email | Q(channel="sms", address=user.phone)).exclude(address="")
