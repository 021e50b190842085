"""Celery beat's scheduler, which reads its schedule from the database."""

from typing import Any

from django_celery_beat.schedulers import DatabaseScheduler

from backend.celery import prepare_process


class Scheduler(DatabaseScheduler):
    """The same, made ready first: beat reads the schedule before it sends its `beat_init` signal."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        prepare_process()
        super().__init__(*args, **kwargs)
