"""Pages by number, with counts that never cost more than their bound. Walks by cursor: core.api.walking."""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import QuerySet
from rest_framework.request import Request

from core.conf import conf
from core.errors import InvalidError, NotVisibleError


@dataclass(frozen=True)
class Page:
    """One page of anything countable, and the addresses of its neighbours."""

    results: list[Any]
    next: str | None
    previous: str | None
    count: int | None
    count_estimated: bool = False

    def body(self) -> dict[str, Any]:
        estimated = {"count_estimated": True} if self.count_estimated else {}
        head = {"count": self.count, **estimated, "next": self.next, "previous": self.previous}
        return head | {"results": self.results}


def page_size(request: Request) -> int:
    """`page_size`, capped at the maximum. Raises InvalidError unless it is a whole number from 1."""
    size = _whole(request, "page_size", conf.PAGE_SIZE)
    return min(size, conf.MAX_PAGE_SIZE)


def _whole(request: Request, name: str, default: int) -> int:
    text = ",".join(request.query_params.getlist(name))
    if text == "":
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) < 1:
        raise InvalidError.of(name, "Expected a whole number from 1.")
    return int(text)


def numbered(
    request: Request,
    rows: QuerySet,
    read: Callable[[Any], Any] = list,
    branches: Sequence[QuerySet] = (),
    cut: Callable[[int, int], Any] | None = None,
) -> Page:
    """The page `page` of `rows`; `read` makes results of those on it. NotVisibleError behind the end.

    `branches` are querysets whose union `rows` is, where counting those is cheaper; `cut(start, stop)` gives
    a part of `rows` where there is a faster way than slicing them.
    """
    size, number = page_size(request), _whole(request, "page", 1)
    start = (number - 1) * size
    stop = start + size + 1
    found = list(cut(start, stop) if cut else rows[start:stop])
    if not found and number > 1:
        raise NotVisibleError("There is no such page.")
    count, estimated = _count(rows, branches or [rows], start, len(found), size)
    more = len(found) > size
    return Page(
        read(found[:size]),
        address(request, page=number + 1) if more else None,
        address(request, page=number - 1) if number > 1 else None,
        count,
        estimated,
    )


def listed(request: Request, items: Sequence[Any]) -> Page:
    """The page `page` of what is in memory already."""
    size, number = page_size(request), _whole(request, "page", 1)
    start = (number - 1) * size
    if start >= len(items) and number > 1:
        raise NotVisibleError("There is no such page.")
    return Page(
        list(items[start : start + size]),
        address(request, page=number + 1) if start + size < len(items) else None,
        address(request, page=number - 1) if number > 1 else None,
        len(items),
    )


def _count(
    rows: QuerySet, branches: Sequence[QuerySet], start: int, fetched: int, size: int
) -> tuple[int, bool]:
    """Known from the last page itself; else counted up to the bound, beyond it estimated."""
    if fetched <= size:
        return start + fetched, False
    counted = bounded_count(branches, conf.COUNT_LIMIT + 1)
    if counted <= conf.COUNT_LIMIT:
        return counted, False
    return max(estimate(rows), conf.COUNT_LIMIT + 1, start + fetched), True


def bounded_count(branches: Sequence[QuerySet], limit: int) -> int:
    """How many rows are in the union of `branches`, counting no further than `limit`."""
    parts: list[str] = []
    params: list[Any] = []
    for branch in branches:
        with suppress(EmptyResultSet):
            sql, more = branch.order_by().values("pk").query.sql_with_params()
            parts.append(sql)
            params += more
    if not parts:
        return 0
    union = " UNION ".join(parts)
    with connections[branches[0].db].cursor() as cursor:
        # All of it compiled by the ORM.
        cursor.execute(f"SELECT count(*) FROM ({union} LIMIT %s) AS bounded", [*params, limit])  # noqa: S608
        return cursor.fetchone()[0]


def estimate(rows: QuerySet) -> int:
    """How many rows the planner expects."""
    sql, params = rows.order_by().query.sql_with_params()
    with connections[rows.db].cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
        plan = cursor.fetchone()[0]
    parsed = json.loads(plan) if isinstance(plan, str) else plan
    return int(parsed[0]["Plan"]["Plan Rows"])


def address(request: Request, **changes: Any) -> str:
    """The address of this request with some parameters changed."""
    params = request.query_params.copy()
    for key, value in changes.items():
        params[key] = value
    return request.build_absolute_uri(f"{request.path}?{params.urlencode()}")


def fingerprint(request: Request) -> str:
    """A cursor belongs to the filters and the ordering it was given out for."""
    kept = sorted((k, v) for k, v in request.query_params.items() if k not in ("cursor", "page_size"))
    return hashlib.sha256(json.dumps([request.path, kept]).encode()).hexdigest()[:16]
