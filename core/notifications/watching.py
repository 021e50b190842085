"""Which changes make notifications: declared by the apps, in their registration.py.

`watch` notifies followers that a column changed. `announce` is for changes with a wording and recipients of
their own ("deal won"): one declaration of type, condition, wording and recipients. A change that is announced
makes one notification: the watched columns in it are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from core.notifications import types
from core.registry import Registry


@dataclass(frozen=True)
class Watch:
    """A column of an entity. With `above`, only a change from at most that number to more of it counts."""

    entity: str
    column: str
    type: str = "update"
    above: int | None = None


@dataclass(frozen=True)
class Announcement:
    """Changes of an entity that meet `condition` (in the condition language, changes included), and their
    `recipients` (keys of RECIPIENTS).

    `title` holds `{name}`, the record's, and may hold `{doer}`; `many` is what stands behind a number where
    there are many at once: "deals you follow are won".
    """

    entity: str
    type: str
    condition: Any
    title: str
    many: str
    recipients: tuple[str, ...]
    # Of the changes that meet the condition only these: a Q over the change table, which knows old and new.
    narrow: Q | None = None


# Recipients of announcements: SQL that gives user_id for the record r, of the entity %(entity)s.
RECIPIENTS: Mapping[str, str] = {
    "followers": "SELECT f.user_id FROM core_follow f WHERE f.entity = %(entity)s AND f.object_id = r.id",
    "owner": "SELECT r.owner_id AS user_id",
    "assignee": "SELECT r.assigned_to_id AS user_id",
    # Managers of the nearest team that has any: the owner's own, else the one above it, and so on.
    "owners_managers": """
        SELECT m.id AS user_id FROM (
            WITH RECURSIVE above (id, parent_id, level) AS (
                SELECT t.id, t.parent_id, 0 FROM core_team t JOIN core_user o ON o.team_id = t.id
                WHERE o.id = r.owner_id
                UNION ALL SELECT t.id, t.parent_id, a.level + 1
                FROM core_team t JOIN above a ON a.parent_id = t.id WHERE a.level < 50
            )
            SELECT m.id, a.level, min(a.level) OVER () AS nearest FROM above a
            JOIN core_user m ON m.team_id = a.id AND m.role = 'manager' AND m.is_active
        ) m WHERE m.level = m.nearest
    """,
}
watches: Registry[Watch] = Registry("watched column")
announcements: Registry[Announcement] = Registry("announcement")


def watch(entity: str, column: str, *, type: str = "update", above: int | None = None) -> Watch:
    """Notify followers of `entity` when `column` changes (or rises `above` a number)."""
    return watches.register(f"{entity}.{column}", Watch(entity, column, type, above))


def watched(entity: str) -> list[Watch]:
    return [w for w in watches if w.entity == entity]


def announce(
    entity: str,
    type: str,
    *,
    label: str,
    condition: Any,
    title: str,
    many: str,
    recipients: tuple[str, ...] = ("followers",),
    channels: tuple[str, ...] = (types.IN_APP,),
    urgent: bool = False,
    narrow: Q | None = None,
) -> Announcement:
    """Declare a notification of its own: `type` is the name under which people find it among their
    preferences, `label` its name there, `channels` those it goes by unless they choose otherwise. `narrow` is
    for what a condition cannot say: that a value became more, or a date later."""
    unknown = set(recipients) - RECIPIENTS.keys()
    if unknown:
        raise LookupError(f"unknown recipients {sorted(unknown)}; known: {', '.join(sorted(RECIPIENTS))}")
    types.register(type, label, *channels, urgent=urgent)
    made = Announcement(entity, type, condition, title, many, recipients, narrow)
    return announcements.register(f"{entity}:{type}", made)


def announced(entity: str) -> list[Announcement]:
    return [a for a in announcements if a.entity == entity]
