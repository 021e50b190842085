"""The SQL of undoing an import: which records it wrote, what happened to them since, and their old values."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db import connection

_LIST = """
CREATE TEMP TABLE crm_undo ON COMMIT DROP AS
SELECT object_id AS id, bool_or(kind = 'created' AND entity = %s) AS created, max(id) AS last
FROM core_change WHERE import_id = %s AND entity = ANY(%s)
AND (%s::bigint IS NULL
     OR object_id IN (SELECT object_id FROM core_importissue WHERE job_id = %s AND kind = 'kept'))
GROUP BY object_id;
CREATE INDEX ON crm_undo (id);
ANALYZE crm_undo
"""
_BATCH = "SELECT id, created, last FROM crm_undo WHERE id > %s ORDER BY id LIMIT %s"
# OFFSET 0: one look into the index of a record's changes per record, whatever the statistics say. A later
# import that was taken back of this record left nothing behind.
_CHANGED_SINCE = """
SELECT wanted.id FROM unnest(%s::bigint[], %s::bigint[]) AS wanted (id, last)
WHERE EXISTS (
    SELECT 1 FROM core_change c WHERE c.entity = %s AND c.object_id = wanted.id AND c.id > wanted.last
    AND c.import_id IS DISTINCT FROM %s AND (c.kind <> 'updated' OR c.changes - %s::text[] <> '{}')
    AND NOT EXISTS (
        SELECT 1 FROM core_importjob u JOIN core_change back
        ON back.entity = c.entity AND back.object_id = c.object_id AND back.import_id = u.id
        WHERE c.import_id IN (u.undoes_id, u.id) AND u.kind = 'undo' AND u.status = 'finished'
    )
    OFFSET 0
)
"""
_FIRST_OLD = """
SELECT DISTINCT ON (wanted.id, e.key) wanted.id AS object_id, e.key, e.value -> 0 AS old
FROM unnest(%s::bigint[]) AS wanted (id)
CROSS JOIN LATERAL (
    SELECT c.id, c.changes FROM core_change c
    WHERE c.entity = %s AND c.object_id = wanted.id AND c.import_id = %s AND c.kind = 'updated' OFFSET 0
) c
CROSS JOIN LATERAL jsonb_each(c.changes) e
ORDER BY wanted.id, e.key, c.id
"""


def rows(statement: str, params: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """What a statement returns."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return cursor.fetchall()


def list_records(import_id: int, entity: str, parts: Sequence[str], undone_before: int | None) -> None:
    """List the records of an entity that an import wrote, or wrote `parts` of, in a temporary table; only
    those that the undo `undone_before` left as they were, where there was one."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.crm_undo")
        cursor.execute(_LIST, [entity, import_id, [entity, *parts], undone_before, undone_before])


def next_batch(behind: int, size: int) -> list[tuple[int, bool, int]]:
    """(id, whether it was created, the import's last change of it) of the listed records behind an id."""
    return rows(_BATCH, [behind, size])


def lock(table: str, ids: Collection[int]) -> set[int]:
    """Lock those that still exist; returns their ids."""
    statement = f"SELECT id FROM {table} WHERE id = ANY(%s) ORDER BY id FOR UPDATE"  # noqa: S608
    return {pk for (pk,) in rows(statement, [list(ids)])}


def changed_since(last: Mapping[int, int], entity: str, import_id: int, derived: Sequence[str]) -> set[int]:
    """The ids of those that somebody changed after the import's `last` change of them. Changes of `derived`
    columns alone do not count."""
    params = [list(last), list(last.values()), entity, import_id, list(derived)]
    return {pk for (pk,) in rows(_CHANGED_SINCE, params)}


def delete(table: str, ids: Sequence[int]) -> int:
    """Delete records; returns how many there were."""
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table} WHERE id = ANY(%s)", [list(ids)])  # noqa: S608
        return cursor.rowcount


def changed_columns(ids: Sequence[int], entity: str, import_id: int) -> list[str]:
    """The columns that the import changed in any of the records."""
    statement = f"SELECT DISTINCT key FROM ({_FIRST_OLD}) f"  # noqa: S608
    return [key for (key,) in rows(statement, [list(ids), entity, import_id])]


def restore(table: str, keys: Sequence[str], ids: Sequence[int], entity: str, import_id: int) -> set[int]:
    """Give the columns `keys` the values they had before the import; returns the ids of those records."""
    columns = [connection.ops.quote_name(key) for key in keys]
    names, values = ", ".join(columns), ", ".join(f"r.{column}" for column in columns)
    statement = (
        f"UPDATE {table} t SET ({names}) ="  # noqa: S608
        f" (SELECT {values} FROM jsonb_populate_record(t, o.old) r)"
        f" FROM (SELECT object_id, jsonb_object_agg(key, old) AS old FROM ({_FIRST_OLD}) f"
        f" GROUP BY object_id) o WHERE t.id = o.object_id RETURNING t.id"
    )
    return {pk for (pk,) in rows(statement, [list(ids), entity, import_id])}
