"""Erasing a person: table by table, a bounded number of rows in each step, until nothing is found.

A pass goes through all tables; consumers of changes may write while it does, so there are passes until one
finds nothing.
"""

from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from core import jobs
from core.changes.context import DISPATCH_JOB
from core.changes.models import Outbox
from core.errors import DomainError
from core.personal_data import Erasure, attached_records, stored_files, unfinished_work
from core.privacy import lifecycle, steps
from core.privacy.finding import share_again, versions_of
from core.privacy.models import PrivacyRequest
from core.privacy.steps import WAITING
from core.privacy.subject import DataSubject, found_from
from core.privacy.tables import (
    CHANGES,
    SearchedTable,
    delete_rows,
    erased_as,
    hand_on,
    lock_rows,
    rewrite_changes,
    rewrite_rows,
    rows_found,
    searched_tables,
    window,
)
from core.retention import ignoring

MAX_PASSES = 8
LONGEST_WAIT = timedelta(hours=24)
NEVER_ENDS = "The person's data keep coming back: something writes them again. See docs/privacy.md."
WAITED = (
    "It waited a day for an import, or for changes to be dispatched. What was erased until then stays erased."
)


class ChangedMeanwhileError(DomainError):
    """A record of the person is not what it was when it was found: it may be somebody else's by now."""

    code = "changed_meanwhile"


class _NothingErasedError(Exception):
    """A dry run: what was done goes back."""


def run(request_id: int, turn: jobs.Turn) -> str:
    """Steps until the erasure ends, has to wait, or the turn is over (core.privacy.steps)."""
    return steps.run(request_id, turn, _step)


def _step(request: PrivacyRequest) -> str:
    return _begin_pass(request) if not request.progress.get("table") else _one_window(request)


def _begin_pass(request: PrivacyRequest) -> str:
    """Find the person (again), once what began before has written what it writes."""
    number = request.progress.get("pass", 0) + 1
    if number > MAX_PASSES:
        return lifecycle.end(request, PrivacyRequest.Status.FAILED, NEVER_ENDS)
    if not request.dry_run and _has_to_wait(request):
        if request.started_at and timezone.now() - request.started_at > LONGEST_WAIT:
            return lifecycle.end(request, PrivacyRequest.Status.FAILED, WAITED)
        jobs.enqueue(DISPATCH_JOB)
        return WAITING
    steps.find_person(request)
    lifecycle.ensure_expected(request)
    request.progress = {"pass": number, "table": steps.first_table(), "after": None, "changed": 0}
    return request.status


def _has_to_wait(request: PrivacyRequest) -> bool:
    """Whether there are changes of the last pass that no consumer has seen, or an import is open."""
    if any(is_unfinished() for is_unfinished in unfinished_work):
        return True
    return Outbox.objects.filter(pk__lte=request.progress.get("outbox", 0)).exists()


def _one_window(request: PrivacyRequest) -> str:
    progress, limit = request.progress, steps.rows_at_once(request)
    table = searched_tables()[progress["table"]]
    upto, seen = window(table, progress["after"], limit)
    if seen:
        done = _measured(table, progress["after"], upto, request)
        _count(request, table, done)
        progress["changed"] += sum(done.values())
    if seen < limit:
        return _next_table(request, table)
    progress["after"] = upto
    return request.status


def _measured(table: SearchedTable, after: Any, upto: Any, request: PrivacyRequest) -> dict[str, int]:
    """What was done to the rows of one window; of a dry run, what would have been."""
    done: dict[str, int] = {}
    person = found_from(request.found)
    try:
        with transaction.atomic():
            found = rows_found(table, after, upto, person.params())
            is_theirs = bool(found["linked"] or found["shared"])
            if is_theirs and _is_shared_by_now(table, found, person):
                found = rows_found(table, after, upto, person.params())
            done = erase_rows(table, found, person.params(), request.pk)
            if request.dry_run:
                raise _NothingErasedError
            if is_theirs:
                # Those that are left have let go of those that are deleted.
                person.versions = versions_of(person)
                request.found = person.as_json()
    except _NothingErasedError:
        pass
    return done


def _is_shared_by_now(table: SearchedTable, found: dict[str, list[Any]], person: DataSubject) -> bool:
    """Before rows go by what they hang on: whether something that hung on the person's records alone hangs on
    others' as well by now. The records and the table's own rows are locked until the transaction ends. Raises
    ChangedMeanwhileError."""
    _ensure_unchanged(person)
    if table.registered.entity in attached_records:
        lock_rows(table, found["linked"])
    return share_again(person)


def _ensure_unchanged(person: DataSubject) -> None:
    """Lock the person's records. Raises ChangedMeanwhileError."""
    if changed := versions_of(person) - person.versions:
        shown = ", ".join(f"{name}:{pk}" for name, pk, _ in sorted(changed)[:20])
        raise ChangedMeanwhileError(
            f"{shown}: changed while the person was erased. Look at it, and ask again."
        )


def erase_rows(
    table: SearchedTable, found: dict[str, list[Any]], params: dict[str, Any], request: int
) -> dict[str, int]:
    """Erase rows that were found; returns how many were deleted, emptied and redacted.

    The one function that has the change table rewritten, which the database refuses to everybody else: rows
    stay, with who changed what and when, and lose the person's values, and their seals say why.
    """
    done, behind = dict.fromkeys((e.value for e in Erasure), 0), _last_own_change()
    with ignoring(table.registered.ignored_triggers):
        hand_on(table, found["shared"], params)
        for how, pks in found.items():
            what = erased_as(table, how)
            emptied = what == Erasure.EMPTY
            if table.name == CHANGES:
                done[what] += rewrite_changes(table, how, pks, params, emptied=emptied, request=request)
            elif what == Erasure.DELETE:
                done[what] += _deleted(table, pks)
            else:
                done[what] += rewrite_rows(table, how, pks, params, emptied=emptied)
    if any(done.values()) and table.name != CHANGES:
        _empty_own_changes(behind, request)
    return done


def _deleted(table: SearchedTable, pks: list[Any]) -> int:
    """Records go as records do: what refers to them lets go of them."""
    if not table.is_of_persons:
        return delete_rows(table, pks)
    table.model._base_manager.filter(pk__in=pks).delete()
    return len(pks)


def _last_own_change() -> int:
    """The last row of the change table that this transaction wrote; 0 for none."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(id), 0) FROM core_change WHERE xid = pg_current_xact_id()")
        return int(cursor.fetchone()[0])


def _empty_own_changes(behind: int, request: int) -> None:
    """What this transaction wrote behind a row of the change table is what was there before: take it out."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT core_change_empty_own(%s, %s)", [behind, request])


def _count(request: PrivacyRequest, table: SearchedTable, done: dict[str, int]) -> None:
    counted = request.counts.get(table.name, {})
    if any(done.values()):
        request.counts[table.name] = {name: counted.get(name, 0) + n for name, n in done.items()}


def _next_table(request: PrivacyRequest, table: SearchedTable) -> str:
    """Go on with the next table; behind the last one, with another pass or the end."""
    progress = request.progress
    if following := steps.next_table(table):
        progress["table"], progress["after"] = following, None
    elif request.dry_run or not progress["changed"]:
        return _end(request)
    else:
        newest = Outbox.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        request.progress = {"pass": progress["pass"], "table": "", "outbox": newest}
    return request.status


def _end(request: PrivacyRequest) -> str:
    """Nothing is left but other requests about the person, and files that were written before."""
    if not request.dry_run:
        if emptied := lifecycle.forget_others(request):
            request.counts["core_privacyrequest"] = {Erasure.EMPTY.value: emptied}
        for name, withdraw in stored_files.items():
            if withdrawn := withdraw():
                request.counts[f"files: {name}"] = {Erasure.DELETE.value: withdrawn}
    return lifecycle.end(request, PrivacyRequest.Status.FINISHED)
