"""Celery tasks about what is counted of records."""

from celery import shared_task
from django.db import transaction

from core.entities import record_counts
from core.jobs import Turn


@shared_task(name="core.tasks.fold_record_counts")
def fold_record_counts() -> int:
    """Add up what statements appended to the kept counts; returns how many rows that were."""
    turn, total = Turn(), 0
    while not turn.is_over:
        with transaction.atomic():
            folded = record_counts.fold()
        total += folded
        if not folded:
            break
    turn.go_on("core.tasks.fold_record_counts")
    return total
