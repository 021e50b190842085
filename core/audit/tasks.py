"""Celery tasks of the audit trail."""

from celery import shared_task

from core.changes import seals
from core.jobs import Turn


@shared_task(name="core.tasks.seal_changes")
def seal_changes() -> int:
    """Seal what was changed since, as far as one turn goes."""
    turn = Turn()
    sealed = seals.seal(turn)
    turn.go_on("core.tasks.seal_changes")
    return sealed
