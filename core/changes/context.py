"""Who changes records, and why: a transaction-local setting that the triggers read."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from core import jobs

DISPATCH_JOB = "core.tasks.dispatch_changes"


@dataclass(frozen=True)
class AuditContext:
    """What every change row of the transaction carries. `automation` False asks for no workflows.

    `time_zone` is where a person acts: the day that it is there is today. Automation has none of its own;
    what it does happens where the record's assignee is, else in the zone of the schedule that started it.
    `agent` is the name of the AI client that acts for the actor, in its session `agent_session_id`.
    `cache` keeps what rules read once per transaction (stages, say); nested contexts share it.
    """

    actor_id: int | None = None
    source: str = "system"
    request_id: str = ""
    import_id: int | None = None
    execution_id: int | None = None
    agent_session_id: int | None = None
    agent: str = ""
    depth: int = 0
    automation: bool = True
    time_zone: str = ""
    schedule_zone: str = ""
    cache: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    def declared(self) -> dict[str, Any]:
        """What the triggers read."""
        given = {
            key: value for key, value in vars(self).items() if key != "cache" and value not in (None, "")
        }
        if settings.TIME_ZONE != "UTC":
            given["site_zone"] = settings.TIME_ZONE
        return given


_current: ContextVar[AuditContext | None] = ContextVar("crm_change_context", default=None)


def current_audit_context() -> AuditContext:
    """The context in force; that of the system itself when nobody acts."""
    return _current.get() or AuditContext()


@contextmanager
def audit_context(
    actor: Any = None, *, enqueue_dispatch: bool = True, statement_seconds: float | None = None, **fields: Any
) -> Iterator[AuditContext]:
    """Everything written inside is `actor`'s doing: opens a transaction and declares who and why.

    `actor` is a user, a user's id or None (the system); `fields` are those of AuditContext. Inside another
    `audit_context` the fields not given are inherited. The dispatcher is enqueued on commit, unless
    `enqueue_dispatch` is false: whoever writes many transactions in a row enqueues it once behind them.
    `statement_seconds` is how long each statement of the transaction may take, where that is not what the
    connection has.
    """
    context = _context(actor, fields)
    with transaction.atomic():
        outer = _current.get()
        token = _current.set(context)
        _declare(context, statement_seconds)
        try:
            yield context
        finally:
            _current.reset(token)
        # Not after an exception: the rollback takes the setting back with everything else.
        _declare(outer)
        if outer is None and enqueue_dispatch:
            jobs.enqueue(DISPATCH_JOB)


@contextmanager
def nested_audit_context(actor: Any = None, **fields: Any) -> Iterator[AuditContext]:
    """An `audit_context` inside a transaction in which many act one after the other: a savepoint undoes what
    ends in an exception. The setting of the one before is not restored, for whoever comes next declares
    their own."""
    context = _context(actor, fields)
    with transaction.atomic():
        token = _current.set(context)
        try:
            _declare(context)
            yield context
        finally:
            _current.reset(token)


def _context(actor: Any, fields: dict[str, Any]) -> AuditContext:
    """The present context with `actor`, who acts in a zone of their own, and with `fields`."""
    given = {}
    if actor is not None:
        zone = getattr(actor, "zone", None)
        given = {"actor_id": getattr(actor, "pk", actor), "time_zone": zone.key if zone else ""}
    return replace(current_audit_context(), **{**given, **fields})


def _declare(context: AuditContext | None, statement_seconds: float | None = None) -> None:
    given = context.declared() if context else {}
    sql, params = "SELECT set_config('crm.context', %s, true)", [json.dumps(given) if given else ""]
    if statement_seconds is not None:
        sql += ", set_config('statement_timeout', %s, true)"
        params.append(str(round(statement_seconds * 1000)))
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
