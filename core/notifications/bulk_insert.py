"""INSERT … SELECT of notifications of many users about many records at once.

A caller gives in SQL which (recipient, record) pairs there are; visibility, grouping and wording are the same
for all. The number of statements does not depend on how many users or records there are.
"""

from collections.abc import Mapping
from typing import Any

from django.db import connection

from core.access import TEAM_REACH
from core.entities import Entity
from core.entities.field_rights import hides

# From this many records for one recipient in one go on, one notification stands for all of them.
MANY = 4
ACTOR = "coalesce(nullif(trim(concat(a.first_name, ' ', a.last_name)), ''), a.username, 'The system')"
_MERGE = (
    " ON CONFLICT (recipient_id, group_key)"
    " WHERE group_key <> '' AND read_at IS NULL AND archived_at IS NULL DO UPDATE SET"
    " count = n.count + excluded.count, created_at = now(), channels_planned_at = NULL,"
    " actor_id = excluded.actor_id, body = excluded.body, title = {title}"
)
_COLUMNS = "(recipient_id, type, title, body, entity, object_id, key, group_key, count, actor_id)"


def record_title(entity: Entity, alias: str, user: str) -> str:
    """SQL for the title of a record, for a reader (an alias of the users' table): what may be hidden from
    their role is asked only of a record without a name."""
    parts = ", ".join(f"nullif({alias}.{name}, '')" for name in entity.display_fields)
    others = "".join(
        f" CASE WHEN NOT {hides(entity, name, user)} THEN nullif({alias}.{name}, '') END,"
        for name in entity.display_fallback
    )
    return f"coalesce(nullif(concat_ws(' ', {parts}), ''),{others} '{entity.name} ' || {alias}.id)"


def visible_recipients_cte(entity: Entity, pairs: str, params: Mapping[str, Any]) -> str:
    """CTEs ending in `visible_pairs`: the rows of `pairs` whose recipient sees the record and did not act.

    `pairs` selects recipient_id, object_id, actor_id and whatever the wording needs. `name` is the record's
    title, `doer` the actor's name, `n` how many records there are for this recipient. Where `params` names
    the `objects`, no more of the table is looked at than these.
    """
    bound = " AND r.id = ANY(%(objects)s)" if "objects" in params else ""
    table, policy = entity.model._meta.db_table, entity.model.policy
    return (
        f"{TEAM_REACH}, pairs AS ({pairs}), visible_pairs AS ("  # noqa: S608 (names are the registry's)
        f"SELECT p.*, {record_title(entity, 'r', 'u')} AS name, {ACTOR} AS doer,"
        f" count(*) OVER (PARTITION BY p.recipient_id) AS n"
        f" FROM pairs p JOIN {table} r ON r.id = p.object_id{bound}"
        f" JOIN core_user u ON u.id = p.recipient_id LEFT JOIN core_user a ON a.id = p.actor_id"
        f" WHERE p.actor_id IS DISTINCT FROM u.id AND {policy.viewers('r', 'u')})"
    )


def insert_one_each(
    entity: Entity,
    kind: str,
    pairs: str,
    params: dict[str, Any],
    *,
    title: str,
    key: str,
    body: str = "''",
    few: bool = False,
) -> int:
    """One notification per pair, once per `key` (SQL over `visible_pairs`). Returns how many.

    `few` leaves out recipients who have MANY records at once: see `insert_summary`.
    """
    return _run(
        f"{visible_recipients_cte(entity, pairs, params)} INSERT INTO core_notification AS n {_COLUMNS}"  # noqa: S608
        f" SELECT recipient_id, %(kind)s, left({title}, 300), {body}, %(entity)s, object_id, {key}, '', 1,"
        f" actor_id FROM visible_pairs WHERE {f'n < {MANY}' if few else 'true'}"
        " ORDER BY recipient_id, object_id"
        " ON CONFLICT (recipient_id, key) WHERE key <> '' DO NOTHING",
        params | {"kind": kind, "entity": entity.name},
    )


def upsert_per_record(
    entity: Entity,
    kind: str,
    pairs: str,
    params: dict[str, Any],
    *,
    title: str,
    again: str,
    body: str = "''",
    few: bool = False,
) -> int:
    """One notification per recipient and record, in which later ones merge while it is unread.

    `again` is the title of a merged one: SQL over `excluded` in which `{n}` is how many there are by then.
    `few` leaves out recipients who have MANY records at once: see `insert_summary`.
    """
    merged = f"left({again.format(n='(n.count + excluded.count)')}, 300)"
    return _run(
        f"{visible_recipients_cte(entity, pairs, params)} INSERT INTO core_notification AS n {_COLUMNS}"  # noqa: S608
        f" SELECT recipient_id, %(kind)s, left({title}, 300), {body}, %(entity)s, object_id, '',"
        f" %(kind)s || ':' || %(entity)s || ':' || object_id, count, actor_id"
        f" FROM visible_pairs WHERE {f'n < {MANY}' if few else 'true'} ORDER BY recipient_id, object_id"
        + _MERGE.format(title=merged),
        params | {"kind": kind, "entity": entity.name},
    )


def insert_summary(entity: Entity, kind: str, pairs: str, params: dict[str, Any], *, title: str) -> int:
    """One notification for everyone who has MANY records at once: "12 leads were assigned to you".

    `title` is SQL in which `{n}` is how many there are; later ones add to it while it is unread.
    """
    return _run(
        f"{visible_recipients_cte(entity, pairs, params)} INSERT INTO core_notification AS n {_COLUMNS}"  # noqa: S608
        f" SELECT recipient_id, %(kind)s, left({title.format(n='count(*)')}, 300), '', %(entity)s, NULL, '',"
        f" %(kind)s || ':' || %(entity)s, count(*), max(actor_id)"
        f" FROM visible_pairs WHERE n >= {MANY} GROUP BY recipient_id ORDER BY recipient_id"
        + _MERGE.format(title=f"left({title.format(n='(n.count + excluded.count)')}, 300)"),
        params | {"kind": kind, "entity": entity.name, "plural": entity.plural},
    )


def insert_summary_once(
    entity: Entity, kind: str, pairs: str, params: dict[str, Any], *, title: str, key: str, many: str
) -> int:
    """As `insert_summary`, each record counted once per `key`: rows outside the inbox hold the keys."""
    return _run(
        f"{visible_recipients_cte(entity, pairs, params)}, kept AS (INSERT INTO core_notification AS k"  # noqa: S608
        f" {_COLUMNS[:-1]}, is_in_inbox, channels_planned_at)"
        f" SELECT recipient_id, %(kind)s, left({title}, 300), '', %(entity)s, object_id, {key}, '', 1,"
        f" actor_id, false, now() FROM visible_pairs WHERE n >= {MANY} ORDER BY recipient_id, object_id"
        " ON CONFLICT (recipient_id, key) WHERE key <> '' DO NOTHING RETURNING recipient_id)"
        f" INSERT INTO core_notification AS n {_COLUMNS}"
        f" SELECT recipient_id, %(kind)s, left({many.format(n='count(*)')}, 300), '', %(entity)s, NULL, '',"
        f" %(kind)s || ':' || %(entity)s, count(*), NULL FROM kept GROUP BY recipient_id"
        f" ORDER BY recipient_id"
        + _MERGE.format(title=f"left({many.format(n='(n.count + excluded.count)')}, 300)"),
        params | {"kind": kind, "entity": entity.name},
    )


def _run(statement: str, params: dict[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return cursor.rowcount
