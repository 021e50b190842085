"""All of notifications in one turn, for a process that works without broker and beat."""

import time
from collections.abc import Callable

from core.notifications import digest, planning, reminders, sending

SEND_S = 40.0
# How often what comes with time is looked for; the rest of a turn is due at once.
LOOK_EVERY_S = 15.0
_looked_at = float("-inf")


def sweep(stopped: Callable[[], bool] = lambda: False) -> int:
    """Reminders, overdue checks, digests, channels, deliveries; returns how much there was to do."""
    return _look() + planning.plan() + sending.send_due(SEND_S, stopped)


def _look() -> int:
    """What comes with time, each told once however often it is looked for."""
    global _looked_at
    if time.monotonic() - _looked_at < LOOK_EVERY_S:
        return 0
    _looked_at = time.monotonic()
    return reminders.notify_due("reminder") + reminders.notify_due("overdue") + digest.send_digests()
