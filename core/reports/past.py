"""Records as they were at past moments, set-wise from the change table.

What a column held at a moment is the old value of the oldest change after it, else its present value. One
aggregate over the later changes finds it for every record and column: the smallest text of a change's id
(with as many digits for each) and the old value behind it. Each change counts in one span alone, from one
moment to the next, so a second moment costs little; and only the columns that a report needs are looked for.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from django.db import connections
from django.db.models import F, QuerySet

from core.reports.reported import Past, ReportedEntity

# Makes ids texts of 19 digits, which are in the order of the numbers.
OFFSET = 10**18
DIGITS = 19
# Of so many records the changes are looked up by their index; of more, all changes are read.
FEW = 5_000
_OLDEST = (
    "min((({offset} + c.id)::text || coalesce('=' || (c.changes->'{column}'->>0), '~')) COLLATE \"C\")"
    " FILTER (WHERE {span}c.changes ? '{column}') AS {name}"
)
_HELD = (
    "CASE WHEN {oldest} IS NULL THEN p.{now}"
    " WHEN substr({oldest}, {mark}, 1) = '=' THEN substr({oldest}, {text}) END AS {name}"
)
_STATES = """
WITH present (id, created_at, {now}) AS (
    SELECT id, created_at, {texts} FROM ({rows}) AS r (id, created_at, {now})
),
undone AS (
    SELECT c.object_id, {oldest}
    FROM core_change c
    WHERE c.entity = %s AND c.at >= %s AND c.changes ?| %s::text[] {few}
    GROUP BY c.object_id
),
states AS (
    SELECT p.id, p.created_at, {held} FROM present p LEFT JOIN undone u ON u.object_id = p.id
)
"""
_FEW = "AND c.object_id = ANY(ARRAY(SELECT id FROM present))"


def columns_of(reported: ReportedEntity, past: Past) -> dict[str, str]:
    """The columns of a state: the names by which statements call them → the table's own."""
    scope = {"scope": reported.scope.column} if reported.scope else {}
    return {
        "status": past.status_column,
        "step": reported.step_column,
        "amount": reported.amount,
        "currency": "currency",
        "probability": past.probability_column,
        "due": past.due_column,
        "archived": "archived_at",
        **scope,
    }


def ask(
    reported: ReportedEntity,
    past: Past,
    rows: QuerySet,
    moments: Sequence[datetime],
    names: Sequence[str],
    statement: str,
    params: Sequence[Any],
) -> list[tuple[Any, ...]]:
    """What `statement` finds, which goes on behind `states`: a row for each of the records made before the
    last of the moments (which are in their order), with its state at each as texts (`amount_0` at the first
    of the moments): of the columns of these names, as far as the entity has them."""
    columns = {name: column for name, column in columns_of(reported, past).items() if name in names}
    made = rows.filter(created_at__lt=moments[-1]).order_by()
    selected, values = _selected(made, list(columns.values()))
    spans = _spans(moments)
    named = [(name, place) for place in range(len(moments)) for name in columns]
    head = _STATES.format(
        rows=selected,
        now=", ".join(columns),
        texts=", ".join(f"{name}::text" for name in columns),
        oldest=", ".join(_oldest(columns[name], spans[place][0], f"{name}_{place}") for name, place in named),
        few=_FEW if made[: FEW + 1].count() <= FEW else "",
        held=", ".join(_held(name, place, len(moments)) for name, place in named),
    )
    bounds = [bound for _, place in named for bound in spans[place][1]]
    given = [*values, *bounds, reported.entity, moments[0], list(columns.values()), *params]
    with connections[rows.db].cursor() as cursor:
        cursor.execute(head + statement, given)
        return cursor.fetchall()


def _selected(rows: QuerySet, columns: Sequence[str]) -> tuple[str, Sequence[Any]]:
    found = rows.values_list("pk", "created_at", *(F(name) for name in columns))
    return found.query.get_compiler(rows.db).as_sql()


def _spans(moments: Sequence[datetime]) -> list[tuple[str, list[datetime]]]:
    """Of each moment the condition of changes until the next one, or now, with its values; no change before
    the first moment is read at all."""
    later = [None, *moments[1:], None]
    asked = [[("c.at >= %s AND ", since), ("c.at < %s AND ", until)] for since, until in pairwise(later)]
    return [
        ("".join(text for text, at in both if at), [at for _, at in both if at is not None]) for both in asked
    ]


def _oldest(column: str, span: str, name: str) -> str:
    return _OLDEST.format(offset=OFFSET, column=column, span=span, name=name)


def _held(name: str, moment: int, spans: int) -> str:
    """What the column held at the moment of this number."""
    later = [f"u.{name}_{span}" for span in range(moment, spans)]
    oldest = f"coalesce({', '.join(later)})" if len(later) > 1 else later[0]
    return _HELD.format(oldest=oldest, now=name, name=f"{name}_{moment}", mark=DIGITS + 1, text=DIGITS + 2)
