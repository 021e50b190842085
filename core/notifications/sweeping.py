"""All work of notifications in one turn, for a process without broker and beat."""

import time
from collections.abc import Callable

from core.notifications import digest, planning, reminders, sending

SEND_S = 40.0
# How often reminders and digests are looked for; the rest of a turn runs at once.
CHECK_EVERY_S = 15.0
_checked_at = float("-inf")


def sweep(stopped: Callable[[], bool] = lambda: False) -> int:
    """Reminders, overdue checks, digests, channels, deliveries; returns how much there was to do."""
    return _notify_due() + planning.plan() + sending.send_due(SEND_S, stopped)


def _notify_due() -> int:
    """Reminders and overdue tasks; one notification for each, however often this runs."""
    global _checked_at
    if time.monotonic() - _checked_at < CHECK_EVERY_S:
        return 0
    _checked_at = time.monotonic()
    return (
        reminders.notify_due_reminders("reminder")
        + reminders.notify_due_reminders("overdue")
        + digest.send_digests()
    )
