"""How many rows a list has: exactly up to a bound, beyond it as the planner expects."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import F, QuerySet
from django.db.models.expressions import OrderBy

from core.conf import conf
from core.entities.finding import Order

Statement = tuple[str, Sequence[Any]]

# From so many times the bound on, an expectation is believed without counting up to the bound.
FAR_BEYOND = 5
# Up to so many times the bound, what filters are expected to leave is found as a whole and sorted: walking
# along the order until a page is full passes by everything else, which may be nearly all of the table.
FOUND_WHOLE = 2


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
    rows: Any, orders: Sequence[Order], start: int, size: int, number: Statement | None = None
) -> tuple[list[int], Count]:
    """The ids on a page and one more if there are more, and the number of all rows of a list. `number`: an
    expression of that number, where it is kept; None where filters or a search leave a part of the rows.

    One statement, for a page is so quick that every further one shows, and so does each time that the ORM
    makes SQL of conditions. The last page shows the number itself.
    """
    select = _select(rows)
    if select is None:
        return [], Count(start)
    if number is not None:
        return _known(rows, select, orders, start, size, number)
    expected = estimate(rows.db, *select)
    if expected <= conf.COUNT_LIMIT * FOUND_WHOLE:
        ids, found = _sorted(rows, orders, start, start + size + 1)
        if found <= conf.COUNT_LIMIT * FOUND_WHOLE:
            return ids, Count(found)
    return _walked(rows, select, orders, start, size, expected)


def _sorted(rows: QuerySet, orders: Sequence[Order], start: int, stop: int) -> tuple[list[int], int]:
    """The ids from `start` up to `stop` of the rows, all of which are found and then sorted; and how many
    rows there are. Where these are more than so many, the ids are any."""
    names = [f"_k{place}" for place in range(len(orders))]
    keys = {name: order.column.sort_key for name, order in zip(names, orders, strict=True)}
    found = rows.order_by().annotate(**keys).values_list("pk", *names)
    sql, params = found[: conf.COUNT_LIMIT * FOUND_WHOLE + 1].query.sql_with_params()
    by = ", ".join(
        f"{name} {'DESC' if order.descending else 'ASC'} NULLS LAST"
        for name, order in zip(names, orders, strict=True)
    )
    ids, number = _row(
        rows.db,
        # All of it compiled by the ORM.
        f"WITH found (id, {', '.join(names)}) AS MATERIALIZED ({sql})"  # noqa: S608
        f" SELECT ARRAY(SELECT id FROM found ORDER BY {by} LIMIT %s OFFSET %s),"
        " (SELECT count(*) FROM found)",
        [*params, stop - start, start],
    )
    return ids, number


def _known(
    rows: Any, whole: Statement, orders: Sequence[Order], start: int, size: int, number: Statement
) -> tuple[list[int], Count]:
    """The ids on a page, read along the order of the list, and the number of rows as it is kept."""
    array, params = _place(rows, orders, _selects(rows, whole), start, start + size + 1)
    sql, more = number
    ids, counted = _row(rows.db, f"SELECT {array}, {sql}", [*params, *more])
    return ids, Count(counted)


def _walked(
    rows: Any, whole: Statement, orders: Sequence[Order], start: int, size: int, expected: int
) -> tuple[list[int], Count]:
    """The ids on a page, read along the order of the list, and the number of rows."""
    selects = _selects(rows, whole)
    far = expected > conf.COUNT_LIMIT * FAR_BEYOND
    counting, more = ("NULL", []) if far else _bounded(selects)
    array, params = _place(rows, orders, selects, start, start + size + 1)
    ids, counted = _row(
        rows.db,
        # All of it compiled by the ORM.
        f"WITH page AS MATERIALIZED (SELECT {array} AS ids)"  # noqa: S608
        f" SELECT ids, CASE WHEN cardinality(ids) > %s THEN ({counting}) END FROM page",
        [*params, size, *more],
    )
    if len(ids) <= size:
        return ids, Count(start + len(ids))
    if far:
        return ids, Count(max(expected, start + len(ids)), estimated=True)
    return ids, _judged(rows, counted, start + len(ids), expected)


def _selects(rows: Any, whole: Statement) -> list[Statement]:
    """The SQL of the branches whose union the rows are."""
    branches = rows.parts
    if len(branches) == 1:
        return [whole]
    return [select for branch in branches if (select := _select(branch))]


def _place(
    rows: QuerySet, orders: Sequence[Order], selects: Sequence[Statement], start: int, stop: int
) -> Statement:
    """The SQL of an array of the ids from `start` up to `stop` in the list's order.

    By id, the first of a union are the first of the first of its branches, and each of those has an index
    that begins with whose the rows are; an OR would walk past everybody else's.
    """
    if orders[0].column.name != "id":
        return _ordered(rows, orders, start, stop)
    order = f"ORDER BY 1 {'DESC' if orders[0].descending else 'ASC'}"
    window = [stop - start, start]
    if len(selects) == 1:
        [(sql, params)] = selects
        return f"ARRAY({sql} {order} LIMIT %s OFFSET %s)", [*params, *window]
    firsts = [(f"({sql} {order} LIMIT %s)", [*params, stop]) for sql, params in selects]
    union, given = _union(firsts)
    return f"ARRAY({union} {order} LIMIT %s OFFSET %s)", [*given, *window]


def _ordered(rows: QuerySet, orders: Sequence[Order], start: int, stop: int) -> Statement:
    """The SQL of an array of the ids at these places, by other columns than the id.

    Empty values come last in either direction, and no index is in that order both ways. So where there is one
    of the first column, the rows with a value are asked for alone, and all only where those are too few.
    """
    sql, params = _ids(rows.order_by(*(order.by() for order in orders)), start, stop)
    first, *others = orders
    if not (first.may_be_empty and _has_index(rows.model, first.column.path)):
        return f"ARRAY({sql})", params
    path = first.column.path
    by = OrderBy(F(path), descending=first.descending)
    valued = rows.filter(**{f"{path}__isnull": False}).order_by(by, *(order.by() for order in others))
    valued_sql, given = _ids(valued, start, stop)
    full = f"SELECT ids FROM (SELECT ARRAY({valued_sql}) AS ids) AS v WHERE cardinality(ids) = %s"  # noqa: S608
    return f"coalesce(({full}), ARRAY({sql}))", [*given, stop - start, *params]


def _ids(rows: QuerySet, start: int, stop: int) -> Statement:
    return rows.values_list("pk", flat=True)[start:stop].query.sql_with_params()


def _has_index(model: Any, path: str) -> bool:
    """Whether an index of the model begins with the column."""
    return any(index.fields and index.fields[0].lstrip("-") == path for index in model._meta.indexes)


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
    """The SQL that counts a union, no further than one beyond the bound. No branch is read further either:
    one that reaches beyond it answers already."""
    bound = conf.COUNT_LIMIT + 1
    parts = [(f"({sql} LIMIT %s)", [*params, bound]) for sql, params in selects]
    union, params = _union(parts if len(selects) > 1 else selects)
    return f"SELECT count(*) FROM ({union} LIMIT %s) AS bounded", [*params, bound]  # noqa: S608


def _row(alias: str, sql: str, params: Sequence[Any]) -> Any:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchone()
