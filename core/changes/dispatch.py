"""From the outbox to the consumers: at least one attempt, exactly one effect, in the order of the changes.

One dispatcher works at a time. It feeds a batch of outbox rows to every consumer, which inserts its own rows
under unique constraints, set at a time, and deletes the outbox rows in the same transaction: a crash at any
point undoes both, and the next dispatcher, or the sweep, begins again. What one consumer cannot take is put
aside for it (core.changes.dead_letters) and holds up neither the other changes nor the other consumers.
"""

import logging
from collections.abc import Callable

from django.db import connection, transaction

from core.changes import dead_letters
from core.changes.batch import ChangeBatch
from core.changes.models import Outbox
from core.conf import conf
from core.entities.locks import DISPATCHING, try_lock
from core.jobs import Turn
from core.registry import Registry

log = logging.getLogger(__name__)

# Outbox rows taken at once; most hold a single change.
CLAIM = 200
# After so many refusals within one batch the rest of it is put aside whole: then it is the consumer that is
# broken and not one of the changes.
REFUSALS = 20
# Where more changes than this wait from one statement, single ones of others go before them.
FLOOD = 1_000


Consumer = Callable[[ChangeBatch], None]
consumers: Registry[Consumer] = Registry("change consumer")


# Names of consumers that are fed before the others.
_first: set[str] = set()


def feed_first(consumer: str) -> None:
    """Feed this consumer before the others: somebody waits for what it starts."""
    _first.add(consumer)


def dispatch(limit: int | None = None, turn: Turn | None = None) -> int:
    """Feed everything that waits to all consumers, `limit` transactions at most and until the `turn` is over;
    returns changes fed."""
    total = turns = 0
    while (limit is None or turns < limit) and not (turn and turn.is_over):
        fed = dispatch_once(singles_first=turns % 2 == 0)
        if fed is None:
            break
        total, turns = total + fed, turns + 1
    return total


def dispatch_once(*, singles_first: bool = True) -> int | None:
    """One transaction: claim, feed, forget. Returns the number of changes fed; None when nothing waits or
    another dispatcher is at it. With `singles_first` single changes go before a flood; whoever calls again
    and again takes turns, so that neither starves.

    Whether anything waits is asked outside the lock: whoever finds the lock taken may leave, because its
    holder looks again after letting it go.
    """
    if not (Outbox.objects.exists() or dead_letters.due().exists()):
        return None
    with transaction.atomic():
        if not try_lock(DISPATCHING):
            return None
        return _feed_outbox(singles_first) + _feed_failed()


def _feed_outbox(singles_first: bool) -> int:
    batches = _claim(singles_first)
    names = sorted(consumers.keys(), key=lambda name: (name not in _first, name))
    for batch in batches:
        for name in names:
            Feeding(name).feed(batch)
    return sum(len(batch.ids) for batch in batches)


def _feed_failed() -> int:
    """Give consumers what they could not take before."""
    taken = dead_letters.claim()
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
        dead_letters.store(self.consumer, batch, self.attempts + 1, error)


_COLUMNS = "o.id, o.entity, o.xid, o.min_id, o.max_id, o.automation"
_CLAIM = f"SELECT {_COLUMNS} FROM core_outbox o ORDER BY o.id LIMIT %(claim)s FOR UPDATE"  # noqa: S608
# Single changes whose record is in no statement of many that still waits before them: a person's change need
# not wait for an import, and the changes of one record keep their order.
_CLAIM_SINGLE = f"""
SELECT {_COLUMNS} FROM core_outbox o WHERE o.rows = 1 AND NOT EXISTS (
    SELECT 1 FROM core_change own
    JOIN core_change before ON before.entity = own.entity AND before.object_id = own.object_id
        AND before.id < own.id
    JOIN core_outbox waiting ON waiting.rows > 1 AND waiting.xid = before.xid
        AND waiting.entity = before.entity AND before.id BETWEEN waiting.min_id AND waiting.max_id
    WHERE own.id = o.min_id
) ORDER BY o.id LIMIT %(claim)s FOR UPDATE
"""  # noqa: S608 (constants)
_IDS = """
SELECT id FROM core_change WHERE xid = %s::text::xid8 AND id BETWEEN %s AND %s AND entity = %s
ORDER BY id LIMIT %s
"""


def _claim(singles_first: bool) -> list[ChangeBatch]:
    """Claimed changes by entity; a large outbox row is taken in parts."""
    grouped: dict[tuple[str, bool], list[int]] = {}
    room = conf.DISPATCH_BATCH
    with connection.cursor() as cursor:
        rows = []
        if singles_first and Outbox.objects.filter(rows__gt=FLOOD).exists():
            cursor.execute(_CLAIM_SINGLE, {"claim": CLAIM})
            rows = cursor.fetchall()
        if not rows:
            cursor.execute(_CLAIM, {"claim": CLAIM})
            rows = cursor.fetchall()
        done: list[int] = []
        for row_id, entity, xid, low, high, automation in rows:
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
