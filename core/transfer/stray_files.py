"""Files of imports and exports that no job knows: left by a process that was killed between the file and the
commit of what it is to be found by."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from django.core.files.storage import default_storage
from django.db.models import Model
from django.utils import timezone

from core.transfer.models import ExportJob, ImportJob

FOLDERS: dict[str, type[Model]] = {"imports": ImportJob, "exports": ExportJob}
# From a file to the commit of its job it takes seconds.
LEFT_FOR = timedelta(hours=1)


def forget(stopped: Callable[[], bool] = lambda: False) -> int:
    """Delete those that have lain for an hour; returns how many."""
    return sum(_forget(folder, model, stopped) for folder, model in FOLDERS.items())


def _forget(folder: str, model: type[Model], stopped: Callable[[], bool]) -> int:
    found = [f"{folder}/{name}" for name in _names(folder)]
    known = set(model._base_manager.filter(stored_as__in=found).values_list("stored_as", flat=True))
    deleted = 0
    for path in found:
        # Another may delete it first.
        with suppress(FileNotFoundError):
            if path not in known and not stopped() and _is_old(path):
                default_storage.delete(path)
                deleted += 1
    return deleted


def _names(folder: str) -> list[str]:
    try:
        return default_storage.listdir(folder)[1]
    except FileNotFoundError:
        return []


def _is_old(path: str) -> bool:
    return default_storage.get_modified_time(path) < timezone.now() - LEFT_FOR
