"""Following by touching: who owns a record, is assigned it or writes on it hears of it from then on."""

from collections.abc import Mapping
from typing import Any

from django.db import connection

from core.changes import ChangeBatch
from core.entities import Entity

_TOUCHED = """
INSERT INTO core_follow (user_id, entity, object_id, reason, created_at)
SELECT DISTINCT ON (who.id, r.id) who.id, %(entity)s, r.id, who.reason, now()
FROM core_change c JOIN {table} r ON r.id = c.object_id AND r.id = ANY(%(objects)s)
CROSS JOIN LATERAL (
    VALUES (r.owner_id, 'owner', 'owner_id'), (r.assigned_to_id, 'assignee', 'assigned_to_id')
) AS who (id, reason, field)
WHERE c.id = ANY(%(ids)s) AND (c.kind = 'created' OR c.changes ? who.field) AND who.id IS NOT NULL
ORDER BY who.id, r.id, who.reason DESC
ON CONFLICT DO NOTHING
"""
_WROTE = """
INSERT INTO core_follow (user_id, entity, object_id, reason, created_at)
SELECT DISTINCT k.author_id, k.entity, k.object_id, 'commenter', now()
FROM core_change c JOIN core_comment k ON k.id = c.object_id
WHERE c.id = ANY(%(ids)s) AND c.kind = 'created' AND k.author_id IS NOT NULL
ON CONFLICT DO NOTHING
"""
_GONE = (
    "DELETE FROM core_follow f USING core_change c"
    " WHERE c.id = ANY(%(ids)s) AND c.kind = 'deleted' AND f.entity = c.entity AND f.object_id = c.object_id"
)


def follow_touched(entity: Entity, params: Mapping[str, Any]) -> None:
    """New owners and assignees follow. `params` holds the `ids` of changes and the `objects` changed."""
    with connection.cursor() as cursor:
        statement = _TOUCHED.format(table=entity.model._meta.db_table)
        cursor.execute(statement, {**params, "entity": entity.name})


def forget(batch: ChangeBatch) -> None:
    """Nobody follows what was deleted."""
    with connection.cursor() as cursor:
        cursor.execute(_GONE, {"ids": batch.ids})


def follow_written(batch: ChangeBatch) -> None:
    """Authors of comments follow what they wrote on."""
    with connection.cursor() as cursor:
        cursor.execute(_WROTE, {"ids": batch.ids})
