"""Celery beat's scheduler, which reads its schedule from the database."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from celery import current_app
from celery.beat import ScheduleEntry
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


class Inline(Scheduler):
    """Carries out what is due instead of sending it: where there is no broker."""

    producer = None

    def apply_async(
        self, entry: ScheduleEntry, producer: Any = None, advance: bool = True, **given: Any
    ) -> None:
        """The task of the entry, here and now; its failure is logged as every task's is."""
        self.app.tasks[entry.task].apply(entry.args, entry.kwargs)


class Here:
    """The schedule, kept by this process: for `manage.py run_automation`."""

    @cached_property
    def scheduler(self) -> Inline:
        return Inline(app=current_app)

    def run_pending(self, stopped: Callable[[], bool]) -> int:
        """Carry out what is due; returns how many tasks. Not at the first call, which reads the schedule."""
        done = 0
        while not stopped() and self.scheduler.tick() == 0:
            done += 1
        self.scheduler.sync()
        return done
