"""What a worker does with a request, or the command without one."""

from collections.abc import Callable

from core import jobs
from core.privacy import erasing, exporting, lifecycle, steps
from core.privacy.models import PrivacyRequest

# What `run` returns where there is more to do.
GOES_ON = ("", steps.WAITING, PrivacyRequest.Status.RUNNING)


def run(request_id: int, turn: jobs.Turn | None = None) -> str:
    """Work on a request; returns its status, WAITING where it waits, "" where another works on it."""
    kind = PrivacyRequest.objects.filter(pk=request_id).values_list("kind", flat=True).first()
    if kind is None:
        return ""
    if kind == PrivacyRequest.Kind.EXPORT:
        return exporting.run(request_id, turn or jobs.Turn(jobs.ENDLESS_S))
    return erasing.run(request_id, turn or jobs.Turn(jobs.ENDLESS_S))


def run_pending(stopped: Callable[[], bool]) -> int:
    """Work on the open requests here, one after the other; returns how many came to an end."""
    lifecycle.forget_expired()
    ended = 0
    for pk in lifecycle.open_requests():
        if not stopped():
            ended += run(pk, jobs.Turn(stopped=stopped)) not in GOES_ON
    return ended
