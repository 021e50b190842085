"""Notifications of comments, and the deletion of what belonged to a record that was deleted for good."""

from django.db import connection

from core.activities.models import FurtherRecord
from core.changes import ChangeBatch
from core.entities import Entity, entities
from core.notifications.bulk_insert import insert_one_each, upsert_per_record

EXCERPT = 300
_ENTITIES = (
    "SELECT DISTINCT k.entity FROM core_comment k JOIN core_change c ON c.object_id = k.id"
    " WHERE c.id = ANY(%s) AND c.kind IN ('created', 'updated')"
)
# Whoever was named in any version, once per comment.
_MENTIONED = f"""
SELECT DISTINCT m.user_id AS recipient_id, k.object_id, k.author_id AS actor_id, k.id AS comment_id,
       left(k.body, {EXCERPT}) AS excerpt
FROM core_change c JOIN core_comment k ON k.id = c.object_id JOIN core_mention m ON m.comment_id = k.id
WHERE c.id = ANY(%(ids)s) AND c.kind IN ('created', 'updated') AND k.entity = %(entity)s
"""  # noqa: S608 (constants)
_FOLLOWED = f"""
SELECT f.user_id AS recipient_id, k.object_id, max(k.author_id) AS actor_id, count(*) AS count,
       (array_agg(left(k.body, {EXCERPT}) ORDER BY k.id DESC))[1] AS excerpt
FROM core_change c JOIN core_comment k ON k.id = c.object_id
JOIN core_follow f ON f.entity = k.entity AND f.object_id = k.object_id
WHERE c.id = ANY(%(ids)s) AND c.kind = 'created' AND k.entity = %(entity)s
  AND f.user_id IS DISTINCT FROM k.author_id
  AND NOT EXISTS (SELECT 1 FROM core_mention m WHERE m.comment_id = k.id AND m.user_id = f.user_id)
GROUP BY f.user_id, k.object_id
"""  # noqa: S608 (constants)


def notify(batch: ChangeBatch) -> int:
    """Notify those mentioned in the comments of a batch, and the other followers; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(_ENTITIES, [batch.ids])
        names = sorted(row[0] for row in cursor.fetchall())
    return sum(_notify(entities[name], batch) for name in names if name in entities)


def _notify(entity: Entity, batch: ChangeBatch) -> int:
    params = {"ids": batch.ids}
    mentioned = insert_one_each(
        entity,
        "mention",
        _MENTIONED,
        params,
        title="doer || ' mentioned you on ' || name",
        body="excerpt",
        key="'mention:' || comment_id",
    )
    followed = upsert_per_record(
        entity,
        "comment",
        _FOLLOWED,
        params,
        title="doer || ' commented on ' || name",
        again="{n} || ' new comments on ' || substring(excluded.title from ' commented on (.*)$')",
        body="excerpt",
    )
    return mentioned + followed


_ATTACHED = ("core_activity", "core_comment", "core_notification")


def forget(batch: ChangeBatch) -> None:
    """Delete what belonged to records that were deleted for good."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT array_agg(object_id) FROM core_change WHERE id = ANY(%s) AND kind = 'deleted'",
            [batch.ids],
        )
        gone = cursor.fetchone()[0]
        if not gone:
            return
        cursor.execute(
            "DELETE FROM core_mention WHERE comment_id IN"
            " (SELECT id FROM core_comment WHERE entity = %s AND object_id = ANY(%s))",
            [batch.entity, gone],
        )
        cursor.execute(
            "DELETE FROM core_delivery WHERE notification_id IN"
            " (SELECT id FROM core_notification WHERE entity = %s AND object_id = ANY(%s))",
            [batch.entity, gone],
        )
        cursor.execute(
            "DELETE FROM core_activityrecord WHERE activity_id IN"
            " (SELECT id FROM core_activity WHERE entity = %s AND object_id = ANY(%s))",
            [batch.entity, gone],
        )
        further = (model._meta.db_table for model in FurtherRecord.__subclasses__())
        for table in (*further, *_ATTACHED):
            cursor.execute(
                f"DELETE FROM {table} WHERE entity = %s AND object_id = ANY(%s)",  # noqa: S608
                [batch.entity, gone],
            )
