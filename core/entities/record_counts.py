"""Counts of records that are kept as they change: how many live ones there are of each owner and assignee, by
tag and by some columns.

What statements append (core.models.counted) is added up by a task, one row of each sort. Counts of what a
user sees are sums over the rows of whom they reach, and what is only shared with them is counted beside it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections, models, transaction
from django.db.models import Count, Q, Sum

from core.access import NOTHING
from core.entities.entity import Entity
from core.entities.locks import RECORD_COUNTS, lock, try_lock
from core.models.counted import COUNTED, NUMBER, TAGS, counted, live_rows
from core.models.record import record_models

# Appended rows that one statement adds up.
FOLDED_AT_ONCE = 10_000
# What all records are counted under.
ALL = ""


class RecordCount(models.Model):
    """A part of the live records that somebody owns and somebody is assigned (0: nobody): those with a value
    in a field, or all. Written by triggers and by what adds up; the sum of `amount` over all rows of a sort
    counts. Plain numbers, no foreign keys: a user may be gone."""

    entity = models.CharField(max_length=40)
    owner_id = models.BigIntegerField()
    assigned_to_id = models.BigIntegerField()
    field = models.CharField(max_length=60)
    value = models.TextField()
    figure = models.CharField(max_length=20)
    amount = models.BigIntegerField()
    is_folded = models.BooleanField(default=False, db_default=False)

    class Meta:
        ordering = ["id"]
        indexes = [
            # With the amount inside, what an administrator sees is added up without looking at the table.
            models.Index(
                fields=["entity", "field", "figure", "owner_id"],
                name="count_by_owner",
                include=["assigned_to_id", "amount"],
            ),
            models.Index(
                fields=["entity", "field", "figure", "assigned_to_id"],
                name="count_by_assignee",
                include=["owner_id", "amount"],
            ),
            models.Index(fields=["id"], name="count_appended", condition=Q(is_folded=False)),
        ]

    def __str__(self) -> str:
        return f"{self.entity} {self.field} {self.value}: {self.amount}"


@dataclass(frozen=True)
class Counts:
    """What was counted, by (field, value, figure)."""

    model: Any
    amounts: dict[tuple[str, str, str], int]

    def total(self, figure: str = NUMBER, **having: str) -> int:
        """The sum of a figure over all records, or the number of those that have one value."""
        [(field, value)] = having.items() or [(ALL, "")]
        return self.amounts.get((field, value, figure), 0)

    def counts(self, field: str) -> dict[str, int]:
        """How many records have each value of `field`; of a choice every one is there, also with none."""
        found = {str(value): 0 for value, _ in self.model._meta.get_field(field).choices or ()}
        here = {value: n for (name, value, _), n in self.amounts.items() if name == field and n}
        return found | here


def counts(entity: Entity, user: Any, fields: Collection[str], using: str = DEFAULT_DB_ALIAS) -> Counts:
    """What `user` sees of an entity's live records, counted in all (the field "") and by `fields`."""
    rows = kept(entity, user).using(using).filter(field__in=fields).order_by()
    found = rows.values_list("field", "value", "figure").annotate(total=Sum("amount"))
    amounts = {(field, value, figure): int(total) for field, value, figure, total in found}
    for field, value, figure, amount in _shared(entity, user, using):
        if field in fields:
            key = field, value, figure
            amounts[key] = amounts.get(key, 0) + amount
    return Counts(entity.model, amounts)


def tags(entity: Entity, user: Any) -> dict[str, int]:
    """The tags of the live records that `user` sees, and how many have each."""
    return counts(entity, user, [TAGS]).counts(TAGS)


def kept(entity: Entity, user: Any) -> models.QuerySet:
    """The rows that count what is the user's by owner or assignee."""
    return RecordCount.objects.filter(entity.model.policy.by_people(user), entity=entity.name)


def shared_rows(entity: Entity, user: Any) -> models.QuerySet:
    """The live records that `user` sees by a share alone."""
    return entity.model._base_manager.filter(entity.model.policy.by_share(user), archived_at=None).order_by()


def number(model: Any, user: Any) -> tuple[str, tuple[Any, ...]]:
    """The SQL expression of how many live records of a model `user` sees."""
    policy = model.policy
    rows = RecordCount.objects.filter(
        policy.by_people(user), entity=model.entity_name, field=ALL, figure=NUMBER
    )
    total = rows.order_by().values("entity").annotate(total=Sum("amount")).values("total")
    sql, params = total.query.sql_with_params()
    shared = policy.by_share(user)
    if shared == NOTHING:
        return f"coalesce(({sql}), 0)::bigint", params
    beside = model._base_manager.filter(shared, archived_at=None).order_by().values("archived_at")
    more, given = beside.annotate(n=Count("pk")).values("n").query.sql_with_params()
    return f"coalesce(({sql}), 0)::bigint + coalesce(({more}), 0)", (*params, *given)


def _shared(entity: Entity, user: Any, using: str) -> list[tuple[str, str, str, int]]:
    """(field, value, figure, amount) of what is only shared with the user; counted on the spot."""
    if entity.model.policy.by_share(user) == NOTHING:
        return []
    ids = list(shared_rows(entity, user).using(using).values_list("pk", flat=True))
    if not ids:
        return []
    rows = live_rows(entity.name, entity.model._meta.db_table, condition=" AND id = ANY(%s)")
    with connections[using].cursor() as cursor:
        cursor.execute(f"SELECT field, value, figure, amount FROM ({counted(entity.name, rows)}) c", [ids])  # noqa: S608 (constants)
        return cursor.fetchall()


# ---- Adding up, and counting anew ----

_KEY = "entity, owner_id, assigned_to_id, field, value, figure"
_FOLD = f"""
WITH first AS (
    SELECT * FROM core_recordcount WHERE NOT is_folded ORDER BY id LIMIT %s
), sorts AS (
    SELECT DISTINCT {_KEY} FROM first
), gone AS (
    DELETE FROM core_recordcount s USING sorts k
    WHERE (s.entity, s.field, s.owner_id, s.assigned_to_id, s.value, s.figure)
        = (k.entity, k.field, k.owner_id, k.assigned_to_id, k.value, k.figure)
    AND (s.is_folded OR s.id <= (SELECT max(id) FROM first))
    RETURNING s.*
), added AS (
    INSERT INTO core_recordcount ({_KEY}, amount, is_folded)
    SELECT {_KEY}, sum(amount), true FROM gone GROUP BY {_KEY} HAVING sum(amount) <> 0
)
SELECT count(*) FROM gone WHERE NOT is_folded
"""  # noqa: S608 (constants)


def fold() -> int:
    """Add up what was appended, one statement's worth, inside the caller's transaction; returns how many
    appended rows that were, 0 where another process is at it."""
    if not try_lock(RECORD_COUNTS, "fold"):
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_FOLD, [FOLDED_AT_ONCE])
        return cursor.fetchone()[0]


_WRONG = """
SELECT owner_id, assigned_to_id, field, value, figure, sum(amount)::bigint AS amount FROM (
    {counted}
    UNION ALL
    SELECT owner_id, assigned_to_id, field, value, figure, -amount FROM core_recordcount WHERE entity = %s
) AS compared
GROUP BY owner_id, assigned_to_id, field, value, figure HAVING sum(amount) <> 0
"""
_CORRECT = """
INSERT INTO core_recordcount (entity, owner_id, assigned_to_id, field, value, figure, amount)
SELECT %s, wrong.* FROM ({wrong}) AS wrong
"""


def wrong(entity: str) -> list[tuple[int, int, str, str, str, int]]:
    """What counting all records of an entity anew gives beyond what is kept, sort by sort; [] where all is
    right. One statement, and so of one moment, whatever is written meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute(_wrong(entity), [entity])
        return cursor.fetchall()


def correct(entity: str) -> int:
    """Append what is missing, and the opposite of what is too much; returns how many sorts were wrong. Two at
    once would both append it, so the second one waits."""
    with transaction.atomic(), connection.cursor() as cursor:
        lock(RECORD_COUNTS, "correct")
        cursor.execute(_CORRECT.format(wrong=_wrong(entity)), [entity, entity])
        return cursor.rowcount


def _wrong(entity: str) -> str:
    table = record_models()[entity]._meta.db_table
    return _WRONG.format(counted=counted(entity, live_rows(entity, table)))


def counted_entities() -> list[str]:
    """The names of the entities whose records are counted."""
    return sorted(COUNTED)
