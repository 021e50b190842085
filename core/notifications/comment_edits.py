"""Notifications of comments that were edited or deleted: they show no more than the comment does."""

from typing import Any

from django.db import connection

from core.activities.mentions import names_in
from core.changes import ChangeBatch
from core.changes.models import Change
from core.notifications.comments import EXCERPT
from core.notifications.models import Notification

_EDITED = f"""
UPDATE core_notification n SET body = left(k.body, {EXCERPT})
FROM core_comment k JOIN core_mention m ON m.comment_id = k.id
WHERE k.id = ANY(%(comments)s) AND n.recipient_id = m.user_id AND n.key = 'mention:' || k.id
"""  # noqa: S608 (constants)
# The names in earlier versions say whom to look at: the mentions are gone with the comment.
_NO_LONGER_NAMED = """
SELECT n.id FROM unnest(%(named_in)s::bigint[], %(names)s::text[]) AS p (comment_id, name)
JOIN core_user u ON lower(u.username) = p.name
JOIN core_notification n ON n.recipient_id = u.id AND n.key = 'mention:' || p.comment_id
WHERE NOT EXISTS (SELECT 1 FROM core_mention m WHERE m.comment_id = p.comment_id AND m.user_id = u.id)
"""
_GROUPED = f"""
UPDATE core_notification n SET body = coalesce(left(k.body, {EXCERPT}), '')
FROM core_change c LEFT JOIN core_comment k ON k.id = c.object_id
JOIN core_follow f ON f.entity = coalesce(k.entity, c.changes->'entity'->>0)
    AND f.object_id = coalesce(k.object_id, (c.changes->'object_id'->>0)::bigint)
WHERE c.id = ANY(%(changes)s) AND n.recipient_id = f.user_id AND n.read_at IS NULL AND n.archived_at IS NULL
  AND n.group_key <> '' AND n.group_key = 'comment:' || f.entity || ':' || f.object_id
  AND n.body = left(c.changes->'body'->>0, {EXCERPT})
"""  # noqa: S608 (constants)


def update_notifications(batch: ChangeBatch) -> None:
    """Take back what a batch's edits and deletions took out of comments, from inboxes and from mails that
    were not sent yet. Five statements for any number of comments."""
    changed = batch.changes.filter(
        kind__in=(Change.Kind.UPDATED, Change.Kind.DELETED), changes__has_key="body"
    )
    rows = list(changed.order_by("id").values_list("id", "object_id", "changes__body"))
    if not rows:
        return
    named = sorted({(pk, name) for _, pk, (old, *_) in rows for name in names_in(old or "")})
    params: dict[str, Any] = {
        "changes": [change for change, *_ in rows],
        "comments": [pk for _, pk, _ in rows],
        "named_in": [pk for pk, _ in named],
        "names": [name for _, name in named],
    }
    with connection.cursor() as cursor:
        cursor.execute(_EDITED, params)
        cursor.execute(_GROUPED, params)
        cursor.execute(_NO_LONGER_NAMED, params)
        gone = [row[0] for row in cursor.fetchall()]
    if gone:
        Notification.objects.filter(pk__in=gone).delete()
