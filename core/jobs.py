"""Enqueuing on commit: background work is asked for here, by name, and sent to Celery after the commit.

Nothing depends on a message arriving: whatever must happen is a row in PostgreSQL that a sweep finds as
well. So a broker that is down delays work and never fails a request.
"""

import logging
import mmap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

from celery import current_app
from django.db import transaction
from django.db.models import QuerySet
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)

# After a failed send the broker is left alone this long, so that an outage costs one request its time-out
# and not each of them.
PAUSE_AFTER_FAILURE_S = 5.0
_broker_paused_until = 0.0
_coalesced: ContextVar[dict[str, None] | None] = ContextVar("crm_coalesced_jobs", default=None)

# Well below the time limit of a task (CELERY_TASK_SOFT_TIME_LIMIT).
TURN_S = 40.0

# One byte that a worker shares with the processes it forks: 1 once it was asked to shut down.
_shutdown_flag = mmap.mmap(-1, 1)


class UnknownJobError(LookupError):
    """The name is no registered task: a programming error, raised where the job is asked for."""


def enqueue(name: str, *args: Any, **kwargs: Any) -> None:
    """Send task `name` once the current transaction commits (at once when there is none)."""
    if name not in current_app.tasks:
        raise UnknownJobError(f"no task is called {name!r}")
    waiting = _coalesced.get()
    if waiting is not None and not args and not kwargs:
        waiting[name] = None
        return
    transaction.on_commit(partial(_send, name, args, kwargs), robust=True)


def run_now(name: str, *args: Any) -> Any:
    """What task `name` returns, done here and now: where no worker runs."""
    return current_app.tasks[name](*args)


@contextmanager
def coalesce() -> Iterator[None]:
    """A job without arguments is sent once, however often it is asked for inside. Within a transaction."""
    waiting: dict[str, None] = {}
    token = _coalesced.set(waiting)
    try:
        yield
    finally:
        _coalesced.reset(token)
    for name in waiting:
        enqueue(name)


def _send(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    global _broker_paused_until
    if time.monotonic() < _broker_paused_until:
        return
    try:
        current_app.tasks[name].apply_async(args, kwargs, ignore_result=True, retry=False, expires=300)
    except (OperationalError, OSError) as error:
        _broker_paused_until = time.monotonic() + PAUSE_AFTER_FAILURE_S
        log.warning("broker unreachable, %s is left to the sweep: %s", name, error)


class Turn:
    """How long one task may go on before it hands over to its next message: every background task works in
    bounded turns, so that none meets its time limit and each worker comes round to everything. Over as well
    once this process is shutting down, or when `stopped` says so."""

    def __init__(self, seconds: float = TURN_S, stopped: Callable[[], bool] | None = None) -> None:
        self.until, self.stopped = time.monotonic() + seconds, stopped or shutting_down

    @property
    def left_s(self) -> float:
        """Seconds that are left; 0 when it is over."""
        return 0.0 if self.stopped() else max(0.0, self.until - time.monotonic())

    @property
    def is_over(self) -> bool:
        return self.left_s <= 0

    def go_on(self, name: str) -> None:
        """Have task `name` called again if the turn ended before there was nothing left to do."""
        if time.monotonic() >= self.until:
            enqueue(name)


# Rows deleted by one statement.
DELETED_AT_ONCE = 2_000


def delete(rows: QuerySet, turn: Turn) -> int:
    """Delete the rows, the oldest first and some at a time, until the `turn` is over; returns how many, with
    what goes with them."""
    total = 0
    while not turn.is_over and (
        ids := list(rows.order_by("pk").values_list("pk", flat=True)[:DELETED_AT_ONCE])
    ):
        total += rows.model._base_manager.filter(pk__in=ids).delete()[0]
    return total


ENDLESS_S = float("inf")


def request_shutdown() -> None:
    """Have whatever processes rows here and in the forks of this process claim no more of them."""
    _shutdown_flag[0] = 1


def shutting_down() -> bool:
    """Whether to finish what was claimed and claim nothing more."""
    return _shutdown_flag[0] == 1
