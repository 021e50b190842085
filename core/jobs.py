"""The doorbell: background work is asked for here, by name, and sent after the commit.

Nothing depends on a message arriving: whatever must happen is a row in PostgreSQL that a sweep finds as
well. So a broker that is down delays work and never fails a request.
"""

import logging
import mmap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)

# After a failed send the broker is left alone this long, so that an outage costs one request its time-out
# and not each of them.
PAUSE_AFTER_FAILURE_S = 5.0
_silent_until = 0.0
_gathered: ContextVar[dict[str, None] | None] = ContextVar("crm_gathered_jobs", default=None)

# One byte that a worker shares with the processes it forks: 1 once it was told to end.
_ending = mmap.mmap(-1, 1)


class UnknownJobError(LookupError):
    """The name is no registered task: a programming error, raised where the job is asked for."""


def enqueue(name: str, *args: Any, **kwargs: Any) -> None:
    """Send task `name` once the current transaction commits (at once when there is none)."""
    if name not in current_app.tasks:
        raise UnknownJobError(f"no task is called {name!r}")
    waiting = _gathered.get()
    if waiting is not None and not args and not kwargs:
        waiting[name] = None
        return
    transaction.on_commit(partial(_send, name, args, kwargs), robust=True)


def perform(name: str, *args: Any) -> Any:
    """What task `name` returns, done here and now: where nobody hears the bell."""
    return current_app.tasks[name](*args)


@contextmanager
def gathered() -> Iterator[None]:
    """A job without arguments is sent once, however often it is asked for inside. Within a transaction."""
    waiting: dict[str, None] = {}
    token = _gathered.set(waiting)
    try:
        yield
    finally:
        _gathered.reset(token)
    for name in waiting:
        enqueue(name)


def _send(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    global _silent_until
    if time.monotonic() < _silent_until:
        return
    try:
        current_app.tasks[name].apply_async(args, kwargs, ignore_result=True, retry=False, expires=300)
    except (OperationalError, OSError) as error:
        _silent_until = time.monotonic() + PAUSE_AFTER_FAILURE_S
        log.warning("broker unreachable, %s is left to the sweep: %s", name, error)


def stop_soon() -> None:
    """This process was told to end: what works off rows here and in its forks takes up no more of them."""
    _ending[0] = 1


def is_stopping() -> bool:
    """Whether to finish what is at hand and take up nothing more."""
    return _ending[0] == 1
