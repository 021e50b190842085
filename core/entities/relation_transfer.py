"""What hangs on a record and goes with it when it is converted into another one.

Merging finds the same by itself (core.duplicates.relations): every foreign key to the entity, and every table
with columns `entity` and `object_id` that does not say here that its rows stay.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.db import connection

from core.registry import Registry


@dataclass(frozen=True)
class RelationMove:
    """From a record to a record, each as (entity name, id)."""

    source: tuple[str, int]
    target: tuple[str, int]


# Name of what is moved → a function that moves it, set at a time, and says how many there were.
relation_movers: Registry[Callable[[RelationMove], int]] = Registry("relation mover")
# Label of a model with `entity` and `object_id` whose rows stay with a record that is merged → why.
not_moved: Registry[str] = Registry("relation that stays")


def move_related(source: tuple[str, int], target: tuple[str, int]) -> dict[str, int]:
    """Move everything registered from one record to the other; how many of each."""
    move = RelationMove(source, target)
    names = relation_movers.keys()
    return {name: relation_movers[name](move) for name in names}


_FOLLOW = """
INSERT INTO core_follow (user_id, entity, object_id, reason, created_at)
SELECT user_id, %s, %s, reason, now() FROM core_follow WHERE entity = %s AND object_id = %s
ON CONFLICT DO NOTHING
"""


def _followers(move: RelationMove) -> int:
    """Who followed the one follows the other too."""
    with connection.cursor() as cursor:
        cursor.execute(_FOLLOW, [*move.target, *move.source])
        return cursor.rowcount


relation_movers.register("followers", _followers)
