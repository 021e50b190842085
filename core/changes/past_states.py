"""Conditions on records as they were: deleted ones, and those of a change long ago.

Django's query reads from the entity's table; a common table expression, made of states kept as JSON, stands
before it and in the table's place. So the same condition, compiled by the same code, is asked of the past.
What a condition asks of other records, be they of the same table, it asks of the present.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from django.db import connection
from django.db.models import F, Q
from django.db.models.expressions import RawSQL

from core.changes.expressions import EqualsAny
from core.changes.models import Change
from core.entities import Entity


def deleted_rows(entity: Entity, ids: Iterable[int], condition: Q) -> set[int]:
    """Those of the deleted records that met a condition when they were deleted."""
    rows = Change.objects.filter(
        EqualsAny(F("object_id"), list(ids)), entity=entity.name, kind=Change.Kind.DELETED
    )
    states = [
        (object_id, {**{name: pair[0] for name, pair in changes.items()}, "id": object_id})
        for object_id, changes in rows.values_list("object_id", "changes")
    ]
    return filter_past_states(entity, states, condition)


def filter_past_states(
    entity: Entity, states: Sequence[tuple[int, dict[str, Any]]], condition: Q
) -> set[int]:
    """Of (mark, state by column) pairs the marks whose state meets a condition about the entity's records."""
    if not states:
        return set()
    table = connection.ops.quote_name(entity.model._meta.db_table)
    marked = entity.model.objects.annotate(mark=RawSQL("mark", []))
    rows = marked.filter(condition).order_by().values_list("mark", flat=True)
    sql, parameters = rows.query.sql_with_params()
    asked = sql.replace(f" FROM {table}", f" FROM past_state AS {table}", 1)
    past = (
        f"WITH past_state AS (SELECT r.*, s.mark"  # noqa: S608 (the entity's own table)
        " FROM jsonb_to_recordset(%s::jsonb) AS s(mark bigint, state jsonb)"
        f" CROSS JOIN LATERAL jsonb_populate_record(NULL::{table}, s.state) AS r) "
    )
    given = orjson.dumps([{"mark": mark, "state": state} for mark, state in states]).decode()
    with connection.cursor() as cursor:
        cursor.execute(past + asked, [given, *parameters])
        return {row[0] for row in cursor.fetchall()}


def states_after(entity: Entity, changes: Sequence[Change]) -> list[tuple[int, dict[str, Any]]]:
    """(change id, the record's columns as JSON right after it, or before it was deleted): the present row
    with later changes undone."""
    ids = {change.object_id for change in changes}
    wanted = {change.pk for change in changes}
    states = _present(entity, ids)
    found = []
    first = min(wanted, default=0)
    later = Change.objects.filter(entity=entity.name, object_id__in=ids, pk__gte=first).order_by("-id")
    for pk, object_id, kind, pairs in later.values_list("pk", "object_id", "kind", "changes"):
        state = states.setdefault(object_id, {"id": object_id})
        before = {key: old for key, (old, _new) in pairs.items()}
        if pk in wanted:
            found.append((pk, state | before if kind == Change.Kind.DELETED else dict(state)))
        state.update(before)
    return found


def _present(entity: Entity, ids: set[int]) -> dict[int, dict[str, Any]]:
    table = connection.ops.quote_name(entity.model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id, to_jsonb(r) FROM {table} r WHERE id = ANY(%s)", [list(ids)])  # noqa: S608
        return {pk: _decoded(row) for pk, row in cursor.fetchall()}


def _decoded(row: Any) -> dict[str, Any]:
    return orjson.loads(row) if isinstance(row, str) else row
