"""Calls of AI clients: each is a request to our own API, made inside this process.

So a call is validated, restricted to what its user sees, narrowed to its scopes, counted and answered by the
code that answers everyone else. What the grant adds stands around it: its source in the change table, its
budget, its dry run.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import orjson
from django.core.handlers.asgi import ASGIRequest
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL
from django.urls import Resolver404, resolve

from core.access import scopes
from core.accounts.models import User
from core.agents import budget
from core.agents.models import AgentGrant, AgentSession
from core.api.rendering import dumps
from core.changes import audit_context
from core.changes.history import presented
from core.changes.models import Change
from core.entities import entities
from core.errors import ConflictError


@dataclass(frozen=True)
class Caller:
    """Who calls: a session of a grant, over the connection of `scope` (ASGI's)."""

    session: AgentSession
    scope: Mapping[str, Any]

    @property
    def grant(self) -> AgentGrant:
        return self.session.grant

    @property
    def user(self) -> User:
        """The grant's user, within the grant's scopes."""
        user = self.grant.user
        scopes.limit_to(user, self.grant.held_scopes)
        return user


@dataclass(frozen=True)
class ApiRequest:
    """A request to the API: what a tool makes of its arguments. `rows` is how many it may show at most."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    rows: int = 1
    # Kept with every change that it makes.
    id: str = field(default_factory=lambda: uuid4().hex)

    @property
    def writes(self) -> bool:
        return self.method != "GET"


@dataclass(frozen=True)
class ApiAnswer:
    """The API's answer; `changes` are those a dry run would have made."""

    status: int
    document: Any
    changes: list[dict[str, Any]] | None = None

    @property
    def failed(self) -> bool:
        return self.status >= 400


class _DryRunOverError(Exception):
    """Takes the transaction of a dry run back."""


def call(caller: Caller, request: ApiRequest, *, dry_run: bool = False) -> ApiAnswer:
    """The API's answer to the request. Raises BudgetSpentError, ConflictError (the session has ended)."""
    if not request.writes:
        return _read(caller, request)
    return _dry_run(caller, request) if dry_run or caller.grant.dry_run else _write(caller, request)


def _read(caller: Caller, request: ApiRequest) -> ApiAnswer:
    """Rows are taken before they are looked for. Those that were not found are given back; where more were
    found than could be known, they are taken before they are shown."""
    hour = budget.spend_reads(caller.grant, request.rows)
    shown = 0
    try:
        answer = _dispatch(caller, request)
        shown = 0 if answer.failed else _rows_of(answer.document)
    finally:
        budget.give_back(caller.grant, request.rows - shown, hour)
    if shown > request.rows:
        budget.spend_reads(caller.grant, shown - request.rows)
    return answer


def _rows_of(document: Any) -> int:
    """How many rows an answer shows: those of its page; of figures, the groups of the longest list of them;
    else the one that it is."""
    if not document:
        return 0
    if "results" in document:
        return len(document["results"])
    return max([1, *(len(value) for value in document.values() if isinstance(value, list))])


def _write(caller: Caller, request: ApiRequest) -> ApiAnswer:
    """What was written is counted before it is committed, with whatever followed from it, and what the answer
    shows is counted as read. A call that changes no row itself (it starts a workflow, or gives the values
    that are there) counts as one."""
    with _writing(caller, request):
        answer = _dispatch(caller, request)
        if not answer.failed:
            written = _changes(request).values("entity", "object_id").distinct().count()
            budget.spend_writes(caller.grant, max(1, written))
            budget.spend_reads(caller.grant, _rows_of(answer.document))
    return answer


def _dry_run(caller: Caller, request: ApiRequest) -> ApiAnswer:
    """What it shows of a record was read."""
    budget.spend_reads(caller.grant, request.rows)
    found: list[ApiAnswer] = []
    try:
        with _writing(caller, request):
            answer = _dispatch(caller, request)
            by_name = {entity.name: entity.for_user(caller.user) for entity in entities}
            changes = presented(_changes(request).order_by("id"), by_name)
            found.append(ApiAnswer(answer.status, answer.document, orjson.loads(dumps(changes))))
            raise _DryRunOverError
    except _DryRunOverError:
        return found[0]


@contextmanager
def _writing(caller: Caller, request: ApiRequest) -> Iterator[None]:
    """A transaction whose changes are the session's. Whoever undoes the session waits for it.
    Raises ConflictError for a session that has ended meanwhile."""
    session, grant = caller.session, caller.grant
    own: dict[str, Any] = {"agent_session_id": session.pk, "agent": grant.name}
    with audit_context(caller.user, source=Change.Source.AGENT, request_id=request.id, **own):
        if not _is_open(session):
            raise ConflictError("This session has ended; begin a new one.", code="session_ended")
        yield


def _is_open(session: AgentSession) -> bool:
    rows = AgentSession.objects.filter(pk=session.pk, ended_at=None, grant__revoked_at=None)
    return rows.select_for_update(of=("self",), no_key=True).exists()


def _changes(request: ApiRequest) -> QuerySet[Change]:
    """What the request has changed, in the present transaction."""
    return Change.objects.filter(xid=RawSQL("pg_current_xact_id()", []), request_id=request.id)


def _dispatch(caller: Caller, request: ApiRequest) -> ApiAnswer:
    """What the view at the address answers."""
    try:
        view, args, kwargs = resolve(request.path)
    except Resolver404:
        return ApiAnswer(404, {"type": "/not-found", "detail": "Not found."})
    response = view(_http_request(caller, request), *args, **kwargs)
    response.render()
    return ApiAnswer(response.status_code, orjson.loads(response.content) if response.content else None)


def _http_request(caller: Caller, asked: ApiRequest) -> ASGIRequest:
    """The request as it would have come from outside, over the caller's own connection. Who makes it is said
    by the attributes that REST framework's Request asks first, which nothing from outside can set."""
    body = b"" if asked.body is None else json.dumps(asked.body).encode()
    kept = [(name, value) for name, value in caller.scope["headers"] if name in _KEPT_HEADERS]
    headers = {"accept": "application/json", "content-length": str(len(body)), **asked.headers}
    if body:
        headers["content-type"] = "application/json"
    scope = {
        **{
            name: caller.scope[name]
            for name in ("type", "scheme", "client", "server")
            if name in caller.scope
        },
        "method": asked.method,
        "path": asked.path,
        "query_string": urlencode(asked.query, doseq=True).encode(),
        "headers": [*kept, *((name.lower().encode(), value.encode()) for name, value in headers.items())],
    }
    request: Any = ASGIRequest(scope, BytesIO(body))
    request.request_id = asked.id
    request._force_auth_user, request._force_auth_token = caller.user, caller.grant
    return request


# Where the client is, for rate limits and addresses in answers.
_KEPT_HEADERS = (b"host", b"x-forwarded-for", b"x-forwarded-proto", b"user-agent")
