"""From the outbox to the consumers: at least one attempt, exactly one effect, in the order of the changes.

One dispatcher works at a time. It feeds a batch of outbox rows to every consumer, which inserts its own rows
under unique constraints, set at a time, and deletes the outbox rows in the same transaction: a crash at any
point undoes both, and the next dispatcher, or the sweep, begins again. What one consumer cannot take is put
aside for it (core.changes.dead_letters) and holds up neither the other changes nor the other consumers.
"""

import logging
from collections.abc import Callable

from django.db import connection, transaction

from core.changes import dead_letters, outbox_sql
from core.changes.batch import ChangeBatch
from core.changes.models import Outbox
from core.changes.outbox_sql import OutboxRow
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


def _claim(singles_first: bool) -> list[ChangeBatch]:
    """Claimed changes by entity; a large outbox row is taken in parts."""
    rows: list[OutboxRow] = []
    if singles_first and Outbox.objects.filter(rows__gt=FLOOD).exists():
        rows = outbox_sql.claim_single_changes(CLAIM)
    grouped: dict[tuple[str, bool], list[int]] = {}
    room = conf.DISPATCH_BATCH
    done: list[int] = []
    for row in rows or outbox_sql.claim(CLAIM):
        if room <= 0:
            break
        ids = outbox_sql.change_ids(row, room)
        room -= len(ids)
        grouped.setdefault((row.entity, row.automation), []).extend(ids)
        if room > 0 or ids[-1] == row.max_id:
            done.append(row.id)
        else:
            Outbox.objects.filter(pk=row.id).update(min_id=ids[-1] + 1)
    outbox_sql.delete(done)
    return [ChangeBatch(entity, automation, ids) for (entity, automation), ids in grouped.items() if ids]
