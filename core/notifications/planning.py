"""Choosing the channels of new notifications: each row is its own outbox until it is planned."""

from django.db import transaction
from django.utils import timezone

from core.models import Notification

BATCH = 500


def plan() -> int:
    """Plan everything that waits; returns how many notifications there were."""
    total = 0
    while planned := plan_once():
        total += planned
    return total


def plan_once() -> int:
    """One batch in one transaction."""
    with transaction.atomic():
        rows = Notification.objects.filter(planned_at=None).order_by("id")
        ids = list(rows.select_for_update(skip_locked=True).values_list("pk", flat=True)[:BATCH])
        Notification.objects.filter(pk__in=ids).update(planned_at=timezone.now())
    return len(ids)
