"""Chooses the channels of new notifications: those without `channels_planned_at`."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from core import jobs
from core.jobs import Turn
from core.notifications import live, preferences
from core.notifications.models import Delivery, Notification, PushSubscription
from core.notifications.preferences import Preferences
from core.notifications.types import EMAIL, IN_APP, PUSH, SMS

BATCH = 500
SEND_JOB = "core.tasks.send_notifications"


def plan(turn: Turn | None = None) -> int:
    """Plan every new notification, until the `turn` is over; returns how many notifications there were."""
    total = 0
    while not (turn and turn.is_over) and (planned := plan_once()):
        total += planned
    return total


@transaction.atomic
def plan_once() -> int:
    """One batch: deliveries for whoever wants them, each (notification, channel) once. A fixed number of
    statements for any number of receivers."""
    waiting = Notification.objects.filter(channels_planned_at=None).order_by("id")
    waiting = waiting.select_related("recipient")
    rows = list(waiting.select_for_update(skip_locked=True, of=("self",))[:BATCH])
    if not rows:
        return 0
    now = timezone.now()
    all_preferences = preferences.load(row.recipient_id for row in rows)
    deliveries = _deliveries(rows, all_preferences, now)
    Delivery.objects.bulk_create(deliveries, ignore_conflicts=True)
    unwanted = [row.pk for row in rows if not all_preferences[row.recipient_id].wants(row.type, IN_APP)]
    live.announce(row for row in rows if row.pk not in unwanted)
    if unwanted:
        # Nobody reads it in the inbox, so it must not group those that come later.
        Notification.objects.filter(pk__in=unwanted).update(is_in_inbox=False, group_key="")
    Notification.objects.filter(pk__in=[row.pk for row in rows]).update(channels_planned_at=now)
    if any(delivery.due_at <= now for delivery in deliveries):
        jobs.enqueue(SEND_JOB)
    return len(rows)


def _deliveries(
    rows: list[Notification], all_preferences: dict[int, Preferences], now: datetime
) -> list[Delivery]:
    devices = _with_devices(rows)
    return [
        Delivery(notification=row, channel=channel, due_at=user_preferences.held_until(row.type, now))
        for row in rows
        for user_preferences in (all_preferences[row.recipient_id],)
        for channel in _reachable(user_preferences, user_preferences.user.pk in devices)
        if user_preferences.wants(row.type, channel)
    ]


def _with_devices(rows: Iterable[Notification]) -> set[int]:
    """The recipients with a browser that takes push."""
    found = PushSubscription.objects.filter(user__in={row.recipient_id for row in rows})
    return set(found.values_list("user_id", flat=True))


def _reachable(user_preferences: Preferences, has_device: bool) -> Iterable[str]:
    if user_preferences.user.email:
        yield EMAIL
    if user_preferences.user.phone:
        yield SMS
    if has_device:
        yield PUSH


def push_test(user: Any) -> int:
    """A message to all of the user's browsers and nowhere else; returns its id."""
    notified = Notification.objects.create(
        recipient=user,
        type="test",
        title="Web push works",
        body="This is what a notification looks like.",
        is_in_inbox=False,
        channels_planned_at=timezone.now(),
    )
    Delivery.objects.create(notification=notified, channel=PUSH)
    jobs.enqueue(SEND_JOB)
    return notified.pk
