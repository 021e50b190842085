"""Celery tasks of core: each looks in PostgreSQL for what is due, so each may run twice or not at all."""

from celery import shared_task

from core.changes.dispatch import dispatch
from core.models import idempotency
from core.notifications import planning
from core.sign_in import sessions


@shared_task(name="core.tasks.dispatch_changes")
def dispatch_changes() -> int:
    """Feed waiting changes to the consumers; rung after every commit and swept by beat."""
    return dispatch()


@shared_task(name="core.tasks.forget_idempotency_keys")
def forget_idempotency_keys() -> int:
    """Delete the kept answers that are past their time."""
    return idempotency.forget_old()


@shared_task(name="core.tasks.forget_sessions")
def forget_sessions() -> int:
    """Delete the sessions that ran out long ago."""
    return sessions.forget_old()


@shared_task(name="core.tasks.plan_notifications")
def plan_notifications() -> int:
    """Choose the channels of new notifications."""
    return planning.plan()
