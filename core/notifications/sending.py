"""Sends due deliveries: by lease, with retries, each at most once per (notification, channel).

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

from django.core.mail import get_connection
from django.db.models import Q, QuerySet
from django.utils import timezone, translation

from core.entities import entities
from core.entities.links import admin_url, record_url
from core.notifications import held_digests, inbox, preferences
from core.notifications.channels import (
    CircuitOpenError,
    Message,
    PermanentError,
    TransientError,
    channels,
    sms,
)
from core.notifications.claiming import claim, release
from core.notifications.models import Delivery, Notification, SuppressedAddress
from core.notifications.preferences import Preferences
from core.outbound import breaker
from core.retry import exponential

log = logging.getLogger(__name__)
# A server that lets every attempt time out must not outlast the lease, nor the worker's time limit.
HOLD_S = 45.0
# How long a delivery waits whose server's circuit breaker is open.
CIRCUIT_RETRY = timedelta(seconds=30)
# 30 s, 2 min, 8 min, 32 min, 1 h: six attempts within two hours.
RETRIES = exponential(30, 4, retries=5, cap_s=3600)
# Made because someone asked for exactly this, whatever the matrix says.
ASKED_FOR = {"test"}


@dataclass(frozen=True)
class DeliveryResult:
    """The result of an attempt: a status, or the pause before the next."""

    status: str
    error: str = ""
    pause: timedelta = timedelta(0)


def send_due(seconds: float | None = None, stopped: Callable[[], bool] = lambda: False) -> int:
    """Send what is due; after `seconds`, or when `stopped`, no further batch is claimed. Returns how many
    deliveries were claimed."""
    until = time.monotonic() + (seconds if seconds is not None else float("inf"))
    total = 0
    while not stopped() and time.monotonic() < until and (taken := send_batch(stopped)):
        total += taken
    return total


def send_batch(stopped: Callable[[], bool] = lambda: False) -> int:
    """Claim a batch and send it; returns its size. What would not be sent within the lease, or before the
    stop, or over a server that cannot be reached, is released."""
    breakers = breaker.states()
    unreachable = [channel for channel, name in _servers().items() if breakers.get(name)]
    ids = claim(without=unreachable)
    rows = list(Delivery.objects.select_related("notification").filter(pk__in=ids).order_by("pk"))
    if rows:
        DeliveryBatch(rows, breakers).send(stopped)
    return len(ids)


def _servers() -> dict[str, str]:
    """The breakers of the channels that have one server each; push services have their own."""
    return {"email": breaker.mail_server(), "sms": sms.breaker_name()}


class DeliveryBatch:
    """Claimed deliveries with what is read for all of them at once, in a fixed number of statements."""

    def __init__(self, rows: list[Delivery], breakers: Mapping[str, bool]) -> None:
        self.rows = rows
        self.all_preferences = preferences.load(row.notification.recipient_id for row in rows)
        self.hidden = inbox.hidden_from_recipients([row.notification for row in rows])
        self.suppressed = self._suppressed_addresses()
        self.failing = set(breakers)
        self.open_circuits = {name for name, is_open in breakers.items() if is_open}
        self.mail_server = get_connection()

    def send(self, stopped: Callable[[], bool]) -> None:
        until = time.monotonic() + HOLD_S
        try:
            for number, row in enumerate(self.rows):
                if stopped() or time.monotonic() > until:
                    release(self.rows[number:])
                    break
                if _servers().get(row.channel) in self.open_circuits:
                    release([row])
                    continue
                _record(row, self._attempt(row, self.all_preferences[row.notification.recipient_id]))
        finally:
            self._close_mail_server()

    def _close_mail_server(self) -> None:
        with contextlib.suppress(smtplib.SMTPException, OSError):
            self.mail_server.close()

    def _suppressed_addresses(self) -> set[tuple[str, str]]:
        wanted = {(row.channel, self._address(row)) for row in self.rows}
        rows = SuppressedAddress.objects.filter(address__in={address for _, address in wanted if address})
        return wanted & set(rows.values_list("channel", "address"))

    def _address(self, row: Delivery) -> str:
        return address_of(row, self.all_preferences[row.notification.recipient_id])

    def _attempt(self, row: Delivery, user_preferences: Preferences) -> DeliveryResult:
        """Send, unless by now it should not be sent: turned off, read, hidden, a suppressed address."""
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
            self.open_circuits,
        )
        try:
            _send(message)
        except PermanentError as error:
            if error.address:
                suppress_address(row.channel, error.address, str(error))
            return DeliveryResult(Delivery.Status.FAILED, str(error))
        except CircuitOpenError:
            return DeliveryResult(Delivery.Status.QUEUED, pause=CIRCUIT_RETRY)
        except TransientError as error:
            return self._transient(row, error)
        self._reached(_servers().get(row.channel, ""))
        return DeliveryResult(Delivery.Status.SENT)

    def _transient(self, row: Delivery, error: TransientError) -> DeliveryResult:
        if error.unreachable:
            breaker.failed(error.unreachable)
            self.open_circuits.add(error.unreachable)
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
        if (row.channel, self._address(row)) in self.suppressed:
            return "The address takes nothing any more."
        return ""

    def _is_visible(self, notification: Notification, user_preferences: Preferences) -> bool:
        """Whether there is something in it that its reader sees now; of a digest only that is left."""
        if notification.type == "digest":
            notification.data["sections"] = held_digests.sections_now(notification, user_preferences)
            return bool(notification.data["sections"])
        return notification.pk not in self.hidden


def _send(message: Message) -> None:
    """Send it by its channel. Raises PermanentError or TransientError; an unexpected error is transient, so
    that it is retried and holds up no other."""
    try:
        with translation.override(message.user.reading_language):
            channels[message.delivery.channel](message)
    except (PermanentError, TransientError, CircuitOpenError):
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


def suppress_address(channel: str, address: str, reason: str) -> None:
    """Send nothing more to an address that was refused for good."""
    SuppressedAddress.objects.bulk_create(
        [SuppressedAddress(channel=channel, address=address.lower(), reason=reason[:300])],
        ignore_conflicts=True,
    )
    log.warning("a %s address was refused for good and is disabled: %s", channel, reason[:100])


def url_of(row: Delivery) -> str:
    """The page of the record, or of the notification itself."""
    notification = row.notification
    entity = entities.get(notification.entity)
    if entity and notification.object_id:
        return record_url(entity, notification.object_id)
    return admin_url(notification)


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


def suppressed_addresses_of(user: Any) -> QuerySet[SuppressedAddress]:
    """Those of the user's present addresses that are suppressed."""
    email = Q(channel="email", address=user.email.lower())
    return SuppressedAddress.objects.filter(email | Q(channel="sms", address=user.phone)).exclude(address="")
