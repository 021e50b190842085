"""One turn of everything that automation has to do: the sweep of beat, and the loop without a broker."""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from django.db import InterfaceError, OperationalError, connection, connections

from core.changes.dispatch import dispatch, oldest_age_s
from core.registry import Registry
from core.workflows import claiming, engine, mailing, sweeps

log = logging.getLogger(__name__)
# From one look to the next where nobody rings. A look at nothing is a few statements.
PAUSE_S = 0.5
# How long one sender takes up work in a turn, before the next has its own.
SEND_S = 40.0

Stopped = Callable[[], bool]

# What a turn does besides workflows, by name: webhooks, notifications, imports and others add theirs. Each
# takes up nothing more once it is told to stop, and returns how much there was to do.
jobs: Registry[Callable[[Stopped], int]] = Registry("job")
jobs.register("mail", lambda stopped: mailing.send_due(SEND_S, stopped))


def lag() -> dict[str, float | int]:
    """How far behind automation is: ages in seconds of what waits longest, and how much needs a person."""
    with connection.cursor() as cursor:
        cursor.execute(_TROUBLE)
        expired, dead = cursor.fetchone()
    return {
        "oldest_due_step_s": round(claiming.oldest_due_s(), 1),
        "oldest_undispatched_change_s": round(oldest_age_s(), 1),
        "expired_leases": expired,
        "dead_runs": dead,
    }


_TROUBLE = """
SELECT (SELECT count(*) FROM core_workflowexecution
        WHERE status = 'running' AND due_at < clock_timestamp()),
       (SELECT count(*) FROM core_workflowexecution
        WHERE status = 'dead')
"""


def turn(stopped: Stopped = lambda: False) -> int:
    """Dates, changes, runs, then what leaves the house; returns how much there was to do."""
    done = work_turn(stopped)
    for job in jobs:
        if stopped():
            break
        done += job(stopped)
    return done


def work_turn(stopped: Stopped = lambda: False) -> int:
    """What stays in the house."""
    return sweeps.sweep() + dispatch() + engine.run_due(stopped=stopped)


def run_forever(stop: threading.Event, pause_s: float = PAUSE_S, *also: Callable[[Stopped], int]) -> None:
    """Work without a broker until `stop`: one thread for runs, one for each other job and for what is `also`
    to be done, so that a slow receiver or a large import delays nothing else. The first error of any ends
    all, and is raised."""
    errors: list[BaseException] = []
    calls = [partial(job, stop.is_set) for job in (work_turn, *jobs, *also)]
    threads = [threading.Thread(target=_repeat, args=(call, stop, pause_s, errors)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(0.2)
    if errors:
        raise errors[0]


def _did(job: Callable[[], int]) -> int:
    """What the job did; nothing while the database is away, which passes."""
    try:
        return job()
    except (OperationalError, InterfaceError) as error:
        log.warning("the database is away, trying again: %s", error)
        connections.close_all()
        return 0


def _repeat(
    job: Callable[[], int], stop: threading.Event, pause_s: float, errors: list[BaseException]
) -> None:
    """Call `job` again and again; when it had nothing to do, `pause_s` after the call before."""
    try:
        while not stop.is_set():
            began = time.monotonic()
            if not _did(job):
                stop.wait(max(0.0, began + pause_s - time.monotonic()))
    except Exception as error:  # noqa: BLE001 (the edge of a thread: the main thread raises it)
        errors.append(error)
        stop.set()
    finally:
        connections.close_all()
