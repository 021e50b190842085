"""Celery beat's scheduler, which reads its schedule from the database."""

from typing import Any

from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from backend.celery import prepare_process
from backend.schedule import configured


class Scheduler(DatabaseScheduler):
    """The same, made ready first: beat reads the schedule before it sends its `beat_init` signal.

    Once: told to end while it prepares, beat makes a second scheduler to bring its schedule up to date, which
    would wait for what the first one holds.
    """

    is_prepared = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not Scheduler.is_prepared:
            Scheduler.is_prepared = True
            prepare_process()
        super().__init__(*args, **kwargs)

    def update_from_dict(self, mapping: dict[str, Any]) -> None:
        """Add the entries that are missing; those that are there are the administrators' to change."""
        known = set(PeriodicTask.objects.filter(name__in=mapping).values_list("name", flat=True))
        super().update_from_dict({name: entry for name, entry in mapping.items() if name not in known})

    def install_default_entries(self, data: Any) -> None:
        """Celery's own entries, and those whose time is a setting."""
        super().install_default_entries(data)
        self.update_from_dict(configured())
