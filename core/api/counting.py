"""How many rows a list has: exactly up to a bound, beyond it as the planner expects."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import QuerySet

from core.conf import conf
from core.entities.finding import Order

Statement = tuple[str, Sequence[Any]]

# From so many times the bound on, an expectation is believed without counting up to the bound.
FAR_BEYOND = 5


@dataclass(frozen=True)
class Count:
    """A number of rows, and whether it is an estimate."""

    number: int
    estimated: bool = False


def count(rows: QuerySet, seen: int) -> Count:
    """How many `rows` there are, of which `seen` are known to exist."""
    select = _select(rows)
    [counted] = _row(rows.db, *_bounded([select])) if select else [0]
    return _judged(rows, counted, seen)


def ids_and_count(
    rows: Any, orders: Sequence[Order], start: int, size: int, *, searched: bool
) -> tuple[list[int], Count]:
    """The ids on a page and one more if there are more, and the number of all rows of a list. What a search
    finds is few, and sorted faster than walked to.

    One statement, for a page is so quick that every further one shows, and so does each time that the ORM
    makes SQL of conditions. The last page shows the number itself.
    """
    selects = [select for branch in rows.parts if (select := _select(branch))]
    if not selects:
        return [], Count(start)
    alias = rows.db
    expected = estimate(alias, *selects[0]) if len(selects) == 1 else None
    far = (expected or 0) > conf.COUNT_LIMIT * FAR_BEYOND
    counting, more = ("NULL", []) if far else _bounded(selects)
    sql, params = _place(rows, orders, selects, start, start + size + 1, searched=searched)
    ids, counted = _row(
        alias,
        # All of it compiled by the ORM.
        f"WITH page AS MATERIALIZED (SELECT ARRAY({sql}) AS ids)"  # noqa: S608
        f" SELECT ids, CASE WHEN cardinality(ids) > %s THEN ({counting}) END FROM page",
        [*params, size, *more],
    )
    if len(ids) <= size:
        return ids, Count(start + len(ids))
    if far:
        return ids, Count(max(expected or 0, start + len(ids)), estimated=True)
    return ids, _judged(rows, counted, start + len(ids), expected)


def _place(
    rows: QuerySet,
    orders: Sequence[Order],
    selects: Sequence[Statement],
    start: int,
    stop: int,
    *,
    searched: bool,
) -> Statement:
    """The SQL of the ids from `start` up to `stop` in the list's order.

    By id, the first of a union are the first of the first of its branches, and each of those has an index
    that begins with whose the rows are; an OR would walk past everybody else's.
    """
    by_id = orders[0].column.name == "id"
    if not by_id or (searched and len(selects) > 1):
        ordered = rows.order_by(*(order.by() for order in orders))
        return ordered.values_list("pk", flat=True)[start:stop].query.sql_with_params()
    order = f"ORDER BY 1 {'DESC' if orders[0].descending else 'ASC'}"
    window = [stop - start, start]
    if len(selects) == 1:
        [(sql, params)] = selects
        return f"{sql} {order} LIMIT %s OFFSET %s", [*params, *window]
    firsts = [(f"({sql} {order} LIMIT %s)", [*params, stop]) for sql, params in selects]
    union, given = _union(firsts)
    return f"{union} {order} LIMIT %s OFFSET %s", [*given, *window]


def estimate(alias: str, sql: str, params: Sequence[Any]) -> int:
    """How many rows the planner expects of a statement."""
    [plan] = _row(alias, f"EXPLAIN (FORMAT JSON) {sql}", params)
    parsed = json.loads(plan) if isinstance(plan, str) else plan
    return int(parsed[0]["Plan"]["Plan Rows"])


def _judged(rows: QuerySet, counted: int, seen: int, expected: int | None = None) -> Count:
    """`expected` is what the planner was asked for already, if it was."""
    if counted <= conf.COUNT_LIMIT:
        return Count(counted)
    if expected is None:
        select = _select(rows)
        expected = estimate(rows.db, *select) if select else 0
    return Count(max(expected, conf.COUNT_LIMIT + 1, seen), estimated=True)


def _select(rows: QuerySet) -> Statement | None:
    """The SQL of the ids of `rows`, in no order; None where there can be none."""
    try:
        return rows.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:
        return None


def _union(selects: Sequence[Statement]) -> Statement:
    return " UNION ".join(sql for sql, _ in selects), [value for _, params in selects for value in params]


def _bounded(selects: Sequence[Statement]) -> Statement:
    """The SQL that counts a union, no further than one beyond the bound."""
    union, params = _union(selects)
    return f"SELECT count(*) FROM ({union} LIMIT %s) AS bounded", [*params, conf.COUNT_LIMIT + 1]  # noqa: S608


def _row(alias: str, sql: str, params: Sequence[Any]) -> Any:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchone()
