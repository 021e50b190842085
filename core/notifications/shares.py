"""From shares to notifications: whom something is shared with hears of it once."""

from typing import Any

from django.db import connection

from core.access import TEAM_REACH
from core.changes import ChangeBatch
from core.conditions.models import SavedView
from core.entities import entities
from core.notifications.bulk_insert import ACTOR, MANY, insert_one_each, insert_summary
from core.sharing.operations import records_of

# Whom the shares that these changes made are with: a user, or the members of a team and of those below it.
# Whose it is already is told nothing new.
_GIVEN = """
SELECT DISTINCT ON (u.id, s.object_id) u.id AS recipient_id, s.object_id, c.actor_id, s.id AS share_id
FROM core_change c
JOIN core_share s ON s.entity = %(entity)s AND s.object_id = c.object_id
    AND (s.user_id = (c.changes->'user_id'->>1)::bigint OR s.team_id = (c.changes->'team_id'->>1)::bigint)
JOIN core_user u ON u.id = s.user_id
    OR u.team_id IN (SELECT tr.id FROM team_reach tr WHERE tr.root = s.team_id)
{thing}
WHERE c.id = ANY(%(ids)s) AND c.kind = 'created' AND c.changes->'entity'->>1 = %(entity)s AND {not_theirs}
ORDER BY u.id, s.object_id, s.id
"""
_OF_VIEWS = f"""
{TEAM_REACH}, given AS ({{given}})
INSERT INTO core_notification (recipient_id, type, title, entity, object_id, key, actor_id)
SELECT g.recipient_id, 'share', left({ACTOR} || ' shared the view ' || v.name || ' with you', 300),
    %(entity)s, v.id, 'share:' || %(entity)s || ':' || v.id || ':' || g.share_id, g.actor_id
FROM given g JOIN core_savedview v ON v.id = g.object_id JOIN core_user u ON u.id = g.recipient_id
LEFT JOIN core_user a ON a.id = g.actor_id
WHERE u.is_active AND g.actor_id IS DISTINCT FROM u.id
ORDER BY g.recipient_id, v.id ON CONFLICT (recipient_id, key) WHERE key <> '' DO NOTHING
"""  # noqa: S608 (constants)


def notify(batch: ChangeBatch) -> int:
    """Notify whom the changes of shares let see something; returns how many."""
    notified = 0
    for name, ids in records_of(batch).items():
        params = {"ids": batch.ids, "objects": ids, "entity": name}
        notified += _of_views(params) if name == SavedView.entity_name else _of_records(name, params)
    return notified


def _of_records(name: str, params: dict[str, Any]) -> int:
    entity = entities[name]
    record = f"JOIN {entity.model._meta.db_table} o ON o.id = s.object_id"
    not_theirs = "u.id IS DISTINCT FROM o.owner_id AND u.id IS DISTINCT FROM o.assigned_to_id"
    pairs = _GIVEN.format(thing=record, not_theirs=not_theirs)
    title = f"doer || ' shared the {entity.name} ' || name || ' with you'"
    key = "'share:' || %(entity)s || ':' || object_id || ':' || share_id"
    few = insert_one_each(entity, "share", pairs, params, title=title, key=key, few=True)
    if len(params["ids"]) < MANY:
        return few
    many = f"{{n}} || ' {entity.plural} were shared with you'"
    return few + insert_summary(entity, "share", pairs, params, title=many)


def _of_views(params: dict[str, Any]) -> int:
    view = "JOIN core_savedview o ON o.id = s.object_id"
    given = _GIVEN.format(thing=view, not_theirs="u.id <> o.owner_id")
    with connection.cursor() as cursor:
        cursor.execute(_OF_VIEWS.format(given=given), params)
        return cursor.rowcount
