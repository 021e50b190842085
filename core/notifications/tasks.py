"""Celery tasks of notifications.

Each looks in PostgreSQL for what is due, so each may run twice or not at all.
"""

from celery import shared_task

from core import jobs
from core.notifications import digest, inbox, moments, planning, sending

# How long a worker takes up deliveries, so that a slow mail server does not keep it past its time limit.
SEND_S = 40.0


@shared_task(name="core.tasks.plan_notifications")
def plan_notifications() -> int:
    """Choose the channels of new notifications."""
    return planning.plan()


@shared_task(name="core.tasks.send_notifications")
def send_notifications() -> int:
    """Send the deliveries that are due, for a while; the rest is for the next ring."""
    return sending.send_due(SEND_S, jobs.is_stopping)


@shared_task(name="core.tasks.sweep_notifications")
def sweep_notifications() -> None:
    """Whatever a lost doorbell left: reminders that are due, notifications without channels, deliveries."""
    moments.tell_due("reminder")
    planning.plan()
    sending.send_due(SEND_S, jobs.is_stopping)


@shared_task(name="core.tasks.check_overdue")
def check_overdue() -> int:
    """Tell of what became overdue; each once, however often this runs."""
    return moments.tell_due("overdue")


@shared_task(name="core.tasks.forget_notifications")
def forget_notifications() -> int:
    """Delete notifications that are past their time."""
    return inbox.forget_old()


@shared_task(name="core.tasks.send_digests")
def send_digests() -> int:
    """Make the digests of those zones where it is eight by now."""
    return digest.send_digests()
