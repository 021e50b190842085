"""Celery tasks about merged records."""

from celery import shared_task

from core.duplicates import unmerging


@shared_task(name="core.tasks.forget_merges")
def forget_merges() -> int:
    """Forget what it would take to undo the merges whose time is over."""
    return unmerging.forget_old()
