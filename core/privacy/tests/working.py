"""Requests that are worked on here, until their end."""

from core.changes.dispatch import dispatch
from core.privacy import jobs, lifecycle
from core.privacy.models import PrivacyRequest
from core.privacy.subject import AskedSubject


def erased(kind: str = "erase", **asked) -> PrivacyRequest:
    """A request, worked on until its end; changes are dispatched in between."""
    return worked_on(lifecycle.begin(kind, AskedSubject(**asked), None))


def worked_on(request: PrivacyRequest) -> PrivacyRequest:
    for _ in range(20):
        if jobs.run(request.pk) not in jobs.GOES_ON:
            break
        while dispatch():
            continue
    request.refresh_from_db()
    return request
