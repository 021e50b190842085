"""The SQL of undoing a session: a row as it is, whether somebody changed it since, and its old values."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import Q

from core.changes.models import Change

# Without these columns nothing is left of a change that only the system made.
_OTHERS = """
SELECT EXISTS (
    SELECT 1 FROM core_change c WHERE c.entity = %s AND c.object_id = %s AND c.id > %s
    AND c.agent_session_id IS DISTINCT FROM %s AND (c.kind <> 'updated' OR c.changes - %s::text[] <> '{}')
)
"""


def changed_since(entity: str, pk: int, session_id: int, derived: Sequence[str]) -> bool:
    """Whether anybody else changed the row after the session first did."""
    own = Q(entity=entity, object_id=pk, agent_session_id=session_id)
    first = Change.objects.filter(own).order_by("id").values_list("id", flat=True)[0]
    with connection.cursor() as cursor:
        cursor.execute(_OTHERS, [entity, pk, first, session_id, list(derived)])
        return cursor.fetchone()[0]


def table_of(row: Any) -> str:
    return connection.ops.quote_name(type(row)._meta.db_table)


def present(table: str, pk: int) -> dict[str, Any]:
    """The row as the change table writes rows."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT to_jsonb(t)::text FROM {table} t WHERE id = %s", [pk])  # noqa: S608 (a name)
        return json.loads(cursor.fetchone()[0])


def write(table: str, pk: int, values: Mapping[str, Any]) -> None:
    """Give columns the values that the change table has of them."""
    columns = [connection.ops.quote_name(name) for name in values]
    names, given = ", ".join(columns), ", ".join(f"r.{column}" for column in columns)
    statement = (
        f"UPDATE {table} t SET ({names}) = (SELECT {given} FROM jsonb_populate_record(t, %s::jsonb) r)"  # noqa: S608
        " WHERE id = %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [json.dumps(values), pk])
