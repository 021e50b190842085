"""Celery tasks of signing in."""

from celery import shared_task

from core.accounts import password_mails, sessions
from core.api import models as idempotency


@shared_task(name="core.tasks.forget_sessions")
def forget_sessions() -> int:
    """Delete the sessions that ran out long ago."""
    return sessions.forget_old()


@shared_task(name="core.tasks.send_password_mails")
def send_password_mails() -> int:
    """Send the links for passwords that were asked for."""
    return password_mails.send_due()


@shared_task(name="core.tasks.forget_idempotency_keys")
def forget_idempotency_keys() -> int:
    """Delete the kept answers that are past their time."""
    return idempotency.forget_old()
