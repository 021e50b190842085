"""Through which steps records went and when, set-wise from the change table."""

from collections.abc import Sequence
from typing import Any

from django.db import connections
from django.db.models import F, QuerySet

from core.reports.reported import ReportedEntity

# `entered` has a row for each step that a record came into, ordered by `place`: the first at its creation.
_ENTERED = """
WITH present (id, created_at, step) AS MATERIALIZED ({rows}),
asked (entity, step_column) AS (VALUES (%s::text, %s::text)),
moved AS (
    SELECT c.object_id, c.id AS place, c.at, c.changes->a.step_column->>0 AS was,
           c.changes->a.step_column->>1 AS step
    FROM asked a JOIN core_change c ON c.entity = a.entity AND c.changes ? a.step_column
    JOIN present p ON p.id = c.object_id
    WHERE c.kind <> 'deleted'
),
first_move AS (SELECT DISTINCT ON (object_id) object_id, was FROM moved ORDER BY object_id, place),
entered AS (
    SELECT p.id, 0::bigint AS place, p.created_at AS at, coalesce(f.was, p.step) AS step
    FROM present p LEFT JOIN first_move f ON f.object_id = p.id
    UNION ALL SELECT object_id, place, at, step FROM moved
)
"""


def ask(
    reported: ReportedEntity, rows: QuerySet, statement: str, params: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """What `statement` finds, which goes on behind `entered`."""
    found = rows.order_by().values_list("pk", "created_at", F(reported.step_column))
    selected, values = found.query.get_compiler(rows.db).as_sql()
    with connections[rows.db].cursor() as cursor:
        cursor.execute(
            _ENTERED.format(rows=selected) + statement,
            [*values, reported.entity, reported.step_column, *params],
        )
        return cursor.fetchall()
