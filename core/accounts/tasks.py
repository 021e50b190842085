"""Celery tasks of signing in."""

from celery import shared_task

from core.accounts import password_mails, sessions
from core.api import models as idempotency
from core.jobs import Turn


@shared_task(name="core.tasks.forget_sessions")
def forget_sessions() -> int:
    """Delete the sessions that ran out long ago."""
    turn = Turn()
    deleted = sessions.forget_old(turn)
    turn.go_on("core.tasks.forget_sessions")
    return deleted


@shared_task(name="core.tasks.send_password_mails")
def send_password_mails() -> int:
    """Send the links for passwords that were asked for."""
    return password_mails.send_due()


@shared_task(name="core.tasks.forget_idempotency_keys")
def forget_idempotency_keys() -> int:
    """Delete the kept answers that are past their time."""
    turn = Turn()
    deleted = idempotency.forget_old(turn)
    turn.go_on("core.tasks.forget_idempotency_keys")
    return deleted
