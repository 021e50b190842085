"""Celery tasks of notifications.

Each looks in PostgreSQL for what is due, so each may run twice or not at all.
"""

from celery import shared_task

from core import jobs
from core.jobs import Turn
from core.notifications import digest, inbox, planning, reminders, sending

# How long a worker claims deliveries, so that a slow mail server does not keep it past its time limit.
SEND_S = 40.0


@shared_task(name="core.tasks.plan_notifications")
def plan_notifications() -> int:
    """Choose the channels of new notifications."""
    turn = Turn()
    planned = planning.plan(turn)
    turn.go_on("core.tasks.plan_notifications")
    return planned


@shared_task(name="core.tasks.send_notifications")
def send_notifications() -> int:
    """Send the deliveries that are due, for a while; the rest is for the next message."""
    turn = Turn(SEND_S)
    sent = sending.send_due(SEND_S, jobs.shutting_down)
    turn.go_on("core.tasks.send_notifications")
    return sent


@shared_task(name="core.tasks.sweep_notifications")
def sweep_notifications() -> None:
    """Whatever a lost message left: reminders that are due, notifications without channels. What is to be
    sent has tasks and a queue of its own, for a server that is slow or away must hold up nothing else."""
    reminders.notify_due_reminders("reminder")
    planning.plan(Turn())
    jobs.enqueue("core.tasks.send_notifications")


@shared_task(name="core.tasks.check_overdue")
def check_overdue() -> int:
    """Notify of what became overdue; each once, however often this runs."""
    return reminders.notify_due_reminders("overdue")


@shared_task(name="core.tasks.forget_notifications")
def forget_notifications() -> int:
    """Delete notifications that are past their time."""
    turn = Turn()
    deleted = inbox.forget_old(turn)
    turn.go_on("core.tasks.forget_notifications")
    return deleted


@shared_task(name="core.tasks.send_digests")
def send_digests() -> int:
    """Make the digests of those zones where it is eight by now."""
    turn = Turn()
    made = digest.send_digests(turn=turn)
    turn.go_on("core.tasks.send_digests")
    return made
