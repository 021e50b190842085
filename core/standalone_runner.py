"""All background work in one process, without broker, worker or beat (`manage.py run_automation`)."""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from django.db import InterfaceError, OperationalError, connections
from django.utils import translation

from core.labels import MACHINE_LANGUAGE
from core.registry import Registry

log = logging.getLogger(__name__)
# From one look at what is due to the next, in seconds, where no message announces it. A look at nothing is a
# few statements.
PAUSE_S = 0.5

Stopped = Callable[[], bool]

# What there is to do, by name; features add theirs. Each takes up nothing more once a stop is requested, and
# returns how much there was to do.
background_jobs: Registry[Callable[[Stopped], int]] = Registry("background job")


def run_once(stopped: Stopped = lambda: False) -> int:
    """One turn of each job; returns how much there was to do."""
    done = 0
    with translation.override(MACHINE_LANGUAGE):  # what is stored is in it
        for job in background_jobs:
            if stopped():
                break
            done += job(stopped)
    return done


def run_forever(stop: threading.Event, pause_s: float = PAUSE_S, *also: Callable[[Stopped], int]) -> None:
    """Work without a broker until `stop`: one thread for runs, one for each other job and for what is `also`
    to be done, so that a slow receiver or a large import delays nothing else. The first error of any ends
    all, and is raised."""
    errors: list[BaseException] = []
    calls = [partial(job, stop.is_set) for job in (*background_jobs, *also)]
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
    translation.activate(MACHINE_LANGUAGE)  # of this thread, which ends with the loop
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
