"""Celery tasks about sharing."""

from celery import shared_task

from core.jobs import Turn
from core.sharing import operations


@shared_task(name="core.tasks.forget_shares")
def forget_shares() -> int:
    """Delete the shares that have expired."""
    turn = Turn()
    deleted = operations.forget_old(turn)
    turn.go_on("core.tasks.forget_shares")
    return deleted
