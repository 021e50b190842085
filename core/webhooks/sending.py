"""Sending deliveries: a pool of threads, at most two at once to one receiver, so that a slow one delays none.

A delivery is claimed with a lease and a fence, sent without any transaction open, and its outcome recorded if
the fence is still its own. A crash in between sends it again under the same webhook-id.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, connections, transaction
from django.utils import timezone

from core.clock import database_now
from core.notifications.models import Notification
from core.outbound import client
from core.outbound.addresses import AddressRefusedError
from core.outbound.client import Reply, UnreachableError
from core.retry import DELIVERY, STEP, is_transient, retry_after_of
from core.webhooks.claiming import claim
from core.webhooks.composing import NotForOwnerError, body_of, request_of, shown_headers
from core.webhooks.models import WebhookAttempt, WebhookDelivery, WebhookSubscription

log = logging.getLogger(__name__)

THREADS = 16
TURN_S = 40.0
MAX_LOGGED = 4_096
GIVE_UP_AFTER = timedelta(days=5)
GONE = 410
DEADLOCK = "40P01"
Status = WebhookDelivery.Status


def deliver_due(seconds: float = TURN_S, stopped: Callable[[], bool] = lambda: False) -> int:
    """Send what is due until nothing is, or time is up; returns how many attempts were made."""
    until, total = time.monotonic() + seconds, 0
    under_way: set[Future] = set()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="webhook") as pool:
        while True:
            room = 0 if stopped() or time.monotonic() > until else THREADS - len(under_way)
            claimed = claim(room) if room else []
            under_way |= {pool.submit(_attempt_in_thread, pk) for pk in claimed}
            total += len(claimed)
            if not under_way:
                return total
            done, under_way = wait(under_way, timeout=1, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()


def _attempt_in_thread(pk: int) -> None:
    try:
        attempt(pk)
    finally:
        connections.close_all()


def attempt(pk: int) -> None:
    """One attempt at a claimed delivery; an unexpected error is a failed attempt, and stops no other."""
    delivery = WebhookDelivery.objects.select_related("subscription__owner").filter(pk=pk).first()
    if delivery is None:
        return  # its subscription was deleted meanwhile
    try:
        _attempt(delivery)
    except (OperationalError, InterfaceError):
        raise
    except Exception:  # an outermost edge: what it catches is recorded, under the fence it was begun with
        log.exception("delivery %s could not be attempted", pk)
        _record(delivery, None, "The message could not be made.", None)


def _attempt(delivery: WebhookDelivery) -> None:
    if delivery.subscription and not delivery.subscription.is_enabled:
        _record(delivery, None, "The subscription is disabled.", None, cancel=True)
        return
    try:
        stored, delivery.body = delivery.body, body_of(delivery)
        if stored is None:
            WebhookDelivery.objects.filter(pk=delivery.pk, fence=delivery.fence).update(body=delivery.body)
    except (NotForOwnerError, LookupError):
        _record(delivery, None, "The owner no longer sees this record.", None, cancel=True)
        return
    request = request_of(delivery)
    try:
        reply, error = client.send(request), ""
    except UnreachableError as failure:
        reply, error = None, str(failure)
    except AddressRefusedError as failure:
        reply, error = None, failure.message
    _record(delivery, reply, error, request)


def _record(
    delivery: WebhookDelivery,
    reply: Reply | None,
    error: str,
    request: client.Request | None,
    cancel: bool = False,
) -> None:
    """Store the result of an attempt, if the fence is still its own; once more after a deadlock."""
    try:
        _write(delivery, reply, error, request, cancel)
    except OperationalError as failure:
        if getattr(failure.__cause__, "sqlstate", "") != DEADLOCK:
            raise
        _write(delivery, reply, error, request, cancel)


def _write(
    delivery: WebhookDelivery, reply: Reply | None, error: str, request: client.Request | None, cancel: bool
) -> None:
    """Subscription first, then delivery: in this order whoever deletes a subscription locks them too."""
    with transaction.atomic():
        subscriptions = WebhookSubscription.objects.select_for_update()
        subscription = subscriptions.filter(pk=delivery.subscription_id or 0).first()
        rows = WebhookDelivery.objects.select_for_update()
        row = rows.filter(pk=delivery.pk, fence=delivery.fence, status=Status.SENDING).first()
        if row is None:
            return
        ok = reply is not None and 200 <= reply.status < 300
        delay = None if ok or cancel else _delay(row, reply)
        row.status = _status(ok, cancel, delay)
        row.response_status = reply.status if reply else None
        row.error = "" if ok else error or f"The receiver answered {reply.status if reply else ''}."
        row.due_at = database_now() + delay if delay else row.due_at
        row.finished_at = None if delay else timezone.now()
        row.save(update_fields=["status", "response_status", "error", "due_at", "finished_at"])
        if request is not None:
            _log(row, reply, request, row.due_at if delay else None)
        if subscription is not None and not cancel:
            _update_subscription(subscription, ok, reply.status if reply else 0)


def _status(ok: bool, cancel: bool, delay: timedelta | None) -> str:
    if ok:
        return Status.DELIVERED
    if cancel:
        return Status.CANCELLED
    return Status.QUEUED if delay else Status.FAILED


def _delay(row: WebhookDelivery, reply: Reply | None) -> timedelta | None:
    """Until the next attempt; None when there is none. A subscription is tried for three days whatever it
    answers but 410; a workflow's call as a step is, and not again after a plain refusal."""
    asked = retry_after_of(reply.headers) if reply else None
    if row.subscription_id:
        return None if reply and reply.status == GONE else DELIVERY.delay(row.attempts, asked)
    if reply and not is_transient(reply.status):
        return None
    return STEP.delay(row.attempts, asked)


def _log(
    row: WebhookDelivery, reply: Reply | None, request: client.Request, next_at: datetime | None
) -> None:
    body = reply.body[:MAX_LOGGED].decode("utf-8", "replace").replace("\x00", "") if reply else ""
    WebhookAttempt.objects.create(
        delivery=row,
        number=row.log.count() + 1,
        duration_ms=reply.duration_ms if reply else None,
        request_headers=shown_headers(request.headers, row.headers),
        response_status=reply.status if reply else None,
        response_headers=shown_headers(reply.headers) if reply else {},
        response_body=body,
        error=row.error,
        next_at=next_at,
    )


def _update_subscription(row: WebhookSubscription, ok: bool, status: int) -> None:
    """Count a success or failure; 410, or five days with nothing delivered, disables it."""
    now = timezone.now()
    if ok:
        row.failing_since, row.last_success_at = None, now
    elif row.failing_since is None:
        row.failing_since = now
    row.save(update_fields=["failing_since", "last_success_at"])
    if ok or not row.is_enabled:
        return
    if status == GONE:
        disable(row, "The receiver answered 410 Gone.")
    elif row.failing_since and now - row.failing_since >= GIVE_UP_AFTER:
        disable(row, f"Nothing was delivered for {GIVE_UP_AFTER.days} days.")


def disable(row: WebhookSubscription, reason: str) -> None:
    """Disable a subscription and notify its owner why."""
    row.is_enabled, row.disabled_reason = False, reason
    row.save(update_fields=["is_enabled", "disabled_reason", "updated_at"])
    Notification.objects.create(
        recipient=row.owner, type="workflow_failed", title=f"Webhook disabled: {row.name}"[:300], body=reason
    )
