"""Sealing the change table: a hash chain over its rows, made in the background (AuditSeal).

The chain is computed in PostgreSQL (migration 0047): writes of records do nothing for it. A change that is
not sealed yet was made within the last minutes, or waits for the end of a transaction before it.
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from core.changes.models import AuditSeal, Change
from core.jobs import Turn

MOST = 10_000
COUNTED = 100_000
EACH_S = 60
_due_at = 0.0


def seal(turn: Turn, most: int = MOST) -> int:
    """Seal what can be sealed, until the turn is over; returns the number of changes. Each seal is a
    transaction of its own."""
    total, noted = 0, False
    while not turn.is_over:
        sealed = _next(most)
        if not sealed and noted:
            break
        # What the first call of two without a seal notes is sealed by the second, where nothing else runs.
        total, noted = total + sealed, not sealed
    return total


def seal_now_and_then(stopped: Callable[[], bool]) -> int:
    """The same where no beat asks for it; 0, for nothing waits for it."""
    global _due_at
    if time.monotonic() >= _due_at:
        _due_at = time.monotonic() + EACH_S
        seal(Turn(stopped=stopped))
    return 0


def _next(most: int) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT core_auditseal_next(%s)", [most])
        return int(cursor.fetchone()[0])


def anchor(found: AuditSeal) -> dict[str, Any]:
    """What is kept elsewhere of a seal: it shows whether the chain up to there is the same."""
    return {"seal": found.pk, "hash": bytes(found.hash).hex(), "last_change": found.last_id, "at": found.at}


def links() -> QuerySet[AuditSeal]:
    """The chain without the hashes of its rows; `is_in_force` says of a seal whether it has them."""
    rows = AuditSeal.objects.defer("ids", "hashes", "salt")
    return rows.annotate(is_in_force=Q(ids__isnull=False))


def last_seal() -> AuditSeal | None:
    """The newest link of the chain, without its rows' hashes."""
    return links().order_by("-id").first()


def unsealed() -> int:
    """How many changes are not sealed yet, counted up to COUNTED."""
    in_force = AuditSeal.objects.filter(ids__isnull=False).order_by("-first_id")
    last = in_force.values_list("last_id", flat=True).first() or 0
    return Change.objects.filter(pk__gt=last).order_by("pk")[:COUNTED].count()


def read_anchors(lines: Iterator[str]) -> list[dict[str, Any]]:
    """The anchors of a file, one a line. Raises ValueError for what is none."""
    return [_anchor(line) for line in lines if line.strip()]


def _anchor(line: str) -> dict[str, Any]:
    read = json.loads(line)
    if (
        not isinstance(read, dict)
        or type(read.get("seal")) is not int
        or not isinstance(read.get("hash"), str)
    ):
        raise ValueError("an anchor names a seal and its hash")
    return read
