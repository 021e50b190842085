"""Every Celery task of core under one address: `from core.tasks import score_lead`.

A task called `core.tasks.<name>` stands in the `tasks.py` of its feature; the features' registrations import
these, so every process knows them all.
"""

from typing import Any

from celery import current_app


def __getattr__(name: str) -> Any:
    """The task that is called so."""
    task = current_app.tasks.get(f"{__name__}.{name}")
    if task is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return task
