"""From the outbox to the consumers: at least one attempt, exactly one effect, in the order of the changes.

One dispatcher works at a time. It feeds a batch of outbox rows to every consumer, which inserts its own rows
under unique constraints, set at a time, and deletes the outbox rows in the same transaction: a crash at any
point undoes both, and the next dispatcher, or the sweep, begins again. What one consumer cannot take is put
aside for it (core.changes.retries) and holds up neither the other changes nor the other consumers.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from django.db import connection, transaction
from django.db.models import F

from core.changes import retries
from core.changes.expressions import EqualsAny
from core.changes.models import Change, Outbox
from core.conf import conf
from core.entities.locks import DISPATCHING, try_lock
from core.registry import Registry

log = logging.getLogger(__name__)

# Outbox rows taken at once; most hold a single change.
CLAIM = 200
# After so many refusals within one batch the rest of it is put aside whole: then it is the consumer that is
# broken and not one of the changes.
REFUSALS = 20
# The consumer whose doorbell is rung first: somebody waits for the runs it starts.
FIRST = "workflows"


@dataclass(frozen=True)
class ChangeBatch:
    """Changes of one entity, in order, from writers who did or did not want automation."""

    entity: str
    automation: bool
    ids: list[int] = field(repr=False)

    @property
    def changes(self):
        """The change rows, in the order they were made."""
        return Change.objects.filter(EqualsAny(F("id"), self.ids)).order_by("id")

    def halves(self) -> "tuple[ChangeBatch, ChangeBatch]":
        middle = len(self.ids) // 2
        return replace(self, ids=self.ids[:middle]), replace(self, ids=self.ids[middle:])


Consumer = Callable[[ChangeBatch], None]
consumers: Registry[Consumer] = Registry("change consumer")


def dispatch(limit: int | None = None) -> int:
    """Feed everything that waits to all consumers, `limit` transactions at most; returns changes fed."""
    total = turns = 0
    while limit is None or turns < limit:
        fed = dispatch_once()
        if fed is None:
            break
        total, turns = total + fed, turns + 1
    return total


def dispatch_once() -> int | None:
    """One transaction: claim, feed, forget. Returns the number of changes fed; None when nothing waits or
    another dispatcher is at it.

    Whether anything waits is asked outside the lock: whoever finds the lock taken may leave, because its
    holder looks again after letting it go.
    """
    if not (Outbox.objects.exists() or retries.due().exists()):
        return None
    with transaction.atomic():
        if not try_lock(DISPATCHING):
            return None
        return _feed_outbox() + _feed_failed()


def _feed_outbox() -> int:
    batches = _claim()
    names = sorted(consumers.keys(), key=lambda name: (name != FIRST, name))
    for batch in batches:
        for name in names:
            Feeding(name).feed(batch)
    return sum(len(batch.ids) for batch in batches)


def _feed_failed() -> int:
    """Give consumers what they could not take before."""
    taken = retries.take()
    for row in taken:
        Feeding(row.consumer, row.attempts).feed(ChangeBatch(row.entity, row.automation, row.change_ids))
    return sum(len(row.change_ids) for row in taken)


class Feeding:
    """One batch on its way to one consumer; `attempts` counts those before."""

    def __init__(self, consumer: str, attempts: int = 0) -> None:
        self.consumer, self.attempts, self.refusals = consumer, attempts, 0

    def feed(self, batch: ChangeBatch) -> None:
        """Hand the batch over; where it is refused, halve it until the changes that are to blame are left."""
        try:
            with transaction.atomic():
                consumers[self.consumer](batch)
                # What a deferred constraint refuses is this consumer's fault, and not the whole commit's.
                connection.check_constraints()
        except Exception as error:  # noqa: BLE001 (a worker's outermost edge; what it catches is recorded)
            self._refused(batch, error)

    def _refused(self, batch: ChangeBatch, error: Exception) -> None:
        self.refusals += 1
        if len(batch.ids) > 1 and self.refusals < REFUSALS:
            for half in batch.halves():
                self.feed(half)
            return
        log.error("%s cannot take %r", self.consumer, batch, exc_info=error)
        retries.put_aside(self.consumer, batch, self.attempts + 1, error)


_CLAIM = "SELECT id, entity, xid, min_id, max_id, automation FROM core_outbox ORDER BY id LIMIT %s FOR UPDATE"
_IDS = """
SELECT id FROM core_change WHERE xid = %s::text::xid8 AND id BETWEEN %s AND %s AND entity = %s
ORDER BY id LIMIT %s
"""


def _claim() -> list[ChangeBatch]:
    """Claimed changes by entity; a large outbox row is taken in parts."""
    grouped: dict[tuple[str, bool], list[int]] = {}
    room = conf.DISPATCH_BATCH
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [CLAIM])
        done: list[int] = []
        for row_id, entity, xid, low, high, automation in cursor.fetchall():
            if room <= 0:
                break
            cursor.execute(_IDS, [str(xid), low, high, entity, room])
            ids = [row[0] for row in cursor.fetchall()]
            room -= len(ids)
            grouped.setdefault((entity, automation), []).extend(ids)
            if room > 0 or ids[-1] == high:
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
