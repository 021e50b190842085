"""Celery tasks about duplicates and merged records."""

from celery import shared_task

from core.duplicates import finding, unmerging
from core.jobs import Turn


@shared_task(name="core.tasks.forget_merges")
def forget_merges() -> int:
    """Forget what it would take to undo the merges whose time is over."""
    turn = Turn()
    forgotten = unmerging.forget_old(turn)
    turn.go_on("core.tasks.forget_merges")
    return forgotten


@shared_task(name="core.tasks.find_duplicates")
def find_duplicates() -> int:
    """Compare the records that changed with what is stored; how many these were."""
    turn = Turn()
    compared = finding.find(turn)
    turn.go_on("core.tasks.find_duplicates")
    return compared


@shared_task(name="core.tasks.compare_all_duplicates")
def compare_all_duplicates() -> None:
    """Have all records compared anew: what ceased to be shared by too many shows by no change of its own."""
    finding.rescan()
