"""How many rows a list has: exactly up to a bound, beyond it as the planner expects."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import QuerySet

from core.conf import conf

# From so many times the bound on, an expectation is believed without counting up to the bound.
FAR_BEYOND = 5


@dataclass(frozen=True)
class Count:
    """A number of rows, and whether it is an estimate."""

    number: int
    estimated: bool = False


def count(rows: QuerySet, seen: int) -> Count:
    """How many `rows` there are, of which `seen` are known to exist."""
    return _judged(rows, _run(rows.db, *_bounded([rows])), seen)


def ids_and_count(
    ids: QuerySet, rows: QuerySet, branches: Sequence[QuerySet], start: int, size: int
) -> tuple[list[int], Count]:
    """The ids of one page, of which `ids` gives one more than fit, and the number of all `rows`.

    One statement, for a page is so quick that every further one shows: the rows are counted in it, as the
    union of `branches`, unless the page is the last one and so tells the number itself.
    """
    expected = 0 if len(branches) > 1 else estimate(rows)
    far = expected > conf.COUNT_LIMIT * FAR_BEYOND
    try:
        sql, params = ids.query.sql_with_params()
    except EmptyResultSet:
        return [], Count(start)
    counting, more = ("NULL", []) if far else _bounded(branches)
    found, counted = _row(
        ids.db,
        # All of it compiled by the ORM.
        f"WITH page AS MATERIALIZED (SELECT ARRAY({sql}) AS ids)"  # noqa: S608
        f" SELECT ids, CASE WHEN cardinality(ids) > %s THEN ({counting}) END FROM page",
        [*params, size, *more],
    )
    if len(found) <= size:
        return found, Count(start + len(found))
    return found, Count(expected, estimated=True) if far else _judged(rows, counted, start + len(found))


def estimate(rows: QuerySet) -> int:
    """How many rows the planner expects."""
    try:
        sql, params = rows.order_by().query.sql_with_params()
    except EmptyResultSet:
        return 0
    plan = _run(rows.db, f"EXPLAIN (FORMAT JSON) {sql}", params)
    parsed = json.loads(plan) if isinstance(plan, str) else plan
    return int(parsed[0]["Plan"]["Plan Rows"])


def _judged(rows: QuerySet, counted: int, seen: int) -> Count:
    if counted <= conf.COUNT_LIMIT:
        return Count(counted)
    return Count(max(estimate(rows), conf.COUNT_LIMIT + 1, seen), estimated=True)


def _bounded(branches: Sequence[QuerySet]) -> tuple[str, list[Any]]:
    """The SQL that counts the union of `branches`, no further than one beyond the bound."""
    parts: list[str] = []
    params: list[Any] = []
    for branch in branches:
        with suppress(EmptyResultSet):
            sql, more = branch.order_by().values("pk").query.sql_with_params()
            parts.append(sql)
            params += more
    if not parts:
        return "SELECT 0", []
    union = " UNION ".join(parts)
    sql = f"SELECT count(*) FROM ({union} LIMIT %s) AS bounded"  # noqa: S608  as above
    return sql, [*params, conf.COUNT_LIMIT + 1]


def _run(alias: str, sql: str, params: Sequence[Any]) -> Any:
    return _row(alias, sql, params)[0]


def _row(alias: str, sql: str, params: Sequence[Any]) -> Any:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchone()
