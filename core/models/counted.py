"""Triggers that count records as they change: how many live ones each owner and assignee has, in all, by tag
and by some columns.

A statement appends what it moved to `core_recordcount` (core.entities.record_counts) and locks no row there,
so writers never wait for each other; what was appended is added up later. The sums are exact at any moment.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pgtrigger

# The columns of an entity's table that all counts are made of.
_ALWAYS = ("owner_id", "assigned_to_id", "tags")
NUMBER, TAGS = "number", "tags"


@dataclass(frozen=True)
class CountedBy:
    """What is counted of an entity's live records: by `columns` (of few values each), and in all also sums:
    `figures` maps a name to an SQL expression of the row `r`, which reads the columns `read`."""

    columns: tuple[str, ...] = ()
    figures: Mapping[str, str] = field(default_factory=dict)
    read: tuple[str, ...] = ()


# By the name of the entity, filled as the models are declared.
COUNTED: dict[str, CountedBy] = {}

_COUNTED = """
WITH given AS ({rows}), moved AS (
    SELECT owner_id, assigned_to_id{columns}, sum(sign) AS number{sums} FROM given r
    GROUP BY owner_id, assigned_to_id{columns} HAVING sum(sign) <> 0{changed}
)
SELECT coalesce(owner_id, 0) AS owner_id, coalesce(assigned_to_id, 0) AS assigned_to_id, field, value, figure,
       sum(amount)::bigint AS amount
FROM (
    SELECT m.owner_id, m.assigned_to_id, p.field, p.value, p.figure, p.amount
    FROM moved m CROSS JOIN LATERAL (VALUES {parts}) AS p (field, value, figure, amount)
    UNION ALL
    SELECT r.owner_id, r.assigned_to_id, 'tags', t, 'number', r.sign
    FROM given r CROSS JOIN LATERAL unnest(r.tags) t
) AS counted
GROUP BY 1, 2, 3, 4, 5 HAVING sum(amount) <> 0
"""
_APPEND = """
INSERT INTO core_recordcount (entity, owner_id, assigned_to_id, field, value, figure, amount)
SELECT '{entity}', c.* FROM ({counted}) AS c; RETURN NULL;
"""


def live_rows(entity: str, table: str, sign: int = 1, condition: str = "") -> str:
    """The SQL of a table's live rows as `counted` takes them; `sign` is -1 for rows that are no more."""
    kept = COUNTED[entity]
    columns = ", ".join(dict.fromkeys((*_ALWAYS, *kept.columns, *kept.read)))
    return f"SELECT {sign} AS sign, {columns} FROM {table} WHERE archived_at IS NULL{condition}"  # noqa: S608 (constants)


def counted(entity: str, rows: str) -> str:
    """The SQL that counts rows: (owner_id, assigned_to_id, field, value, figure, amount), 0 for nobody. The
    field "" stands for all records."""
    kept = COUNTED[entity]
    sums = {name: f"sum(r.sign * ({expression}))" for name, expression in kept.figures.items()}
    parts = [f"('', '', '{name}', m.{name})" for name in (NUMBER, *sums)]
    parts += [f"('{column}', m.{column}, 'number', m.number)" for column in kept.columns]
    return _COUNTED.format(
        rows=rows,
        columns="".join(f", {column}" for column in kept.columns),
        sums="".join(f", {one} AS {name}" for name, one in sums.items()),
        changed="".join(f" OR {one} <> 0" for one in sums.values()),
        parts=", ".join(parts),
    )


def counts_kept(entity: str, what: CountedBy) -> list[pgtrigger.Trigger]:
    """The triggers that keep the counts of an entity's table."""
    COUNTED[entity] = what
    came, went = live_rows(entity, "new_rows"), live_rows(entity, "old_rows", -1)
    return [
        _counting(entity, "created", pgtrigger.Insert, came, {"new": "new_rows"}),
        _counting(
            entity,
            "updated",
            pgtrigger.Update,
            f"{came} UNION ALL {went}",
            {"old": "old_rows", "new": "new_rows"},
        ),
        _counting(entity, "deleted", pgtrigger.Delete, went, {"old": "old_rows"}),
    ]


def _counting(
    entity: str, name: str, operation: pgtrigger.Operation, rows: str, tables: dict[str, Any]
) -> pgtrigger.Trigger:
    return pgtrigger.Trigger(
        name=f"count_{name}",
        level=pgtrigger.Statement,
        when=pgtrigger.After,
        operation=operation,
        referencing=pgtrigger.Referencing(**tables),
        func=_APPEND.format(entity=entity, counted=counted(entity, rows)),
    )
