"""Celery tasks of core: each looks in PostgreSQL for what is due, so each may run twice or not at all."""

from celery import shared_task

from core.changes.dispatch import dispatch


@shared_task(name="core.tasks.dispatch_changes")
def dispatch_changes() -> int:
    """Feed waiting changes to the consumers; rung after every commit and swept by beat."""
    return dispatch()
