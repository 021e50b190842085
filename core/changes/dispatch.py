"""From the outbox to the consumers: at least one attempt, exactly one effect.

A batch of outbox rows is claimed with SKIP LOCKED; each consumer inserts its own rows under unique
constraints, set at a time, in the transaction that deletes the claimed rows. A crash at any point leaves the
rows claimed by nobody and the next dispatcher, or the sweep, takes them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from django.db import connection, transaction

from core.conf import conf
from core.models import Change
from core.registry import Registry

# Outbox rows taken at once; most hold a single change.
CLAIM = 200


@dataclass(frozen=True)
class ChangeBatch:
    """Changes of one entity, in order, from writers who did or did not want automation."""

    entity: str
    automation: bool
    ids: list[int] = field(repr=False)

    @property
    def changes(self):
        """The change rows, in the order they were made."""
        return Change.objects.filter(pk__in=self.ids).order_by("id")


Consumer = Callable[[ChangeBatch], None]
consumers: Registry[Consumer] = Registry("change consumer")


def dispatch(limit: int | None = None) -> int:
    """Feed everything that waits to all consumers, `limit` transactions at most; returns changes fed."""
    total = turns = 0
    while limit is None or turns < limit:
        fed = dispatch_once()
        if fed == 0:
            break
        total, turns = total + fed, turns + 1
    return total


def dispatch_once() -> int:
    """One transaction: claim, feed, forget. Returns the number of changes fed, 0 when nothing waits."""
    with transaction.atomic():
        batches = _claim()
        for batch in batches:
            for consume in consumers:
                consume(batch)
        return sum(len(batch.ids) for batch in batches)


_CLAIM = """
SELECT id, entity, xid, min_id, max_id, rows, automation
FROM core_outbox ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
"""
_IDS = "SELECT id FROM core_change WHERE xid = %s::text::xid8 AND id BETWEEN %s AND %s ORDER BY id LIMIT %s"


def _claim() -> list[ChangeBatch]:
    """Claimed changes by entity; a large outbox row is taken in parts."""
    grouped: dict[tuple[str, bool], list[int]] = {}
    room = conf.DISPATCH_BATCH
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [CLAIM])
        done: list[int] = []
        for row_id, entity, xid, low, high, _rows, automation in cursor.fetchall():
            if room <= 0:
                break
            cursor.execute(_IDS, [str(xid), low, high, room])
            ids = [row[0] for row in cursor.fetchall()]
            room -= len(ids)
            grouped.setdefault((entity, automation), []).extend(ids)
            if room > 0 or not ids or ids[-1] == high:
                done.append(row_id)
            else:
                cursor.execute("UPDATE core_outbox SET min_id = %s WHERE id = %s", [ids[-1] + 1, row_id])
        cursor.execute("DELETE FROM core_outbox WHERE id = ANY(%s)", [done])
    return [ChangeBatch(entity, automation, ids) for (entity, automation), ids in grouped.items() if ids]


def oldest_age_s() -> float:
    """Age in seconds of the oldest undispatched change; 0 when there is none."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(extract(epoch FROM now() - min(at)), 0)::float8 FROM core_outbox")
        return cursor.fetchone()[0]
