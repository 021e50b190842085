"""How exports and erasures work: in steps, each a transaction of its own under the request's lock.

A step reads from the request's row how far it came and writes it there in its own transaction: what kills it
takes back one step, two that work on one request do each step once, and one that fails is begun a finite
number of times.
"""

from collections.abc import Callable
from typing import Any

from django.db import DatabaseError

from core import jobs
from core.changes import audit_context
from core.errors import DomainError
from core.personal_data import personal_tables
from core.privacy import lifecycle
from core.privacy.finding import find
from core.privacy.models import PrivacyRequest
from core.privacy.subject import asked_from, found_from
from core.privacy.tables import SearchedTable, searched_tables

# Rows that are looked at in one transaction, and how long each of its statements may take.
AT_ONCE, LEAST_AT_ONCE = 5_000, 50
STEP_SECONDS = 60
WAITING = "waiting"
ENDS_WELL = (WAITING, PrivacyRequest.Status.RUNNING)
Step = Callable[[PrivacyRequest], str]


def run(request_id: int, turn: jobs.Turn, step: Step) -> str:
    """Steps until the request ends, has to wait, or the turn is over; returns its status, WAITING, or ""
    where another works on it or a step failed."""
    status: str = PrivacyRequest.Status.RUNNING
    while status == PrivacyRequest.Status.RUNNING and not turn.is_over:
        if not lifecycle.begin_step(request_id):
            return ""
        try:
            status = _done(request_id, step)
        except (DatabaseError, OSError) as error:
            lifecycle.fail_step(request_id, error)
            return ""
    return status


def _done(request_id: int, step: Step) -> str:
    """One step in its transaction."""
    actor = PrivacyRequest.objects.filter(pk=request_id).values_list("requested_by_id", flat=True).first()
    with audit_context(actor, source="system", automation=False, statement_seconds=STEP_SECONDS):
        request = lifecycle.locked(request_id)
        if request is None:
            return ""
        if stopped := lifecycle.stop_reason(request):
            return lifecycle.end(request, *stopped)
        try:
            status = step(request)
        except DomainError as error:
            return lifecycle.end(request, PrivacyRequest.Status.FAILED, error.message)
        if request.is_open:
            # A step that something outside of it has to follow is done with that.
            request.attempt = 0 if status in ENDS_WELL else request.attempt
            request.save()
        return status


def find_person(request: PrivacyRequest) -> None:
    """Find the person, or in a later pass their values again, and store what is kept."""
    known = found_from(request.found) if request.found else None
    found = find(asked_from(request.subject), known)
    request.found = found.as_json()
    request.kept = [
        *(
            {"kind": kind, "reason": f"kept: shared with {n} other record{'s' * (n > 1)}", "records": n}
            for kind, n in found.held
        ),
        *(
            {"kind": "record", "reason": MAY_BE_THEIRS, "entity": entity, "id": pk}
            for entity, pk in sorted(found.others)
        ),
    ]


MAY_BE_THEIRS = (
    "kept: merged or converted into or from a record of the person; name it by its id if it is theirs"
)


def rows_at_once(request: PrivacyRequest) -> int:
    """Fewer after each failure."""
    smaller: int = request.progress.get("smaller", 0)
    return max(AT_ONCE >> (2 * smaller), LEAST_AT_ONCE)


def first_table() -> str:
    return next(iter(searched_tables()))


def next_table(table: SearchedTable) -> str:
    """The name of the table behind this one, "" behind the last."""
    names = [*searched_tables(), ""]
    return names[names.index(table.name) + 1]


def label_of(table: str) -> str:
    found: Any = personal_tables.get(table)
    return found.label if found else table
