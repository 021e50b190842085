"""Stored leads scored and written: under a lock from before they are read until the transaction ends.

Whoever changes such a lead meanwhile waits, and so does another scoring. The active model and rules are read
behind the lock. So no score of an older state, or under older rules, is written over a newer one.
"""

from typing import Any

from django.db.models import QuerySet

from core.lead_scoring import engine
from core.lead_scoring.scorer import Scored
from core.lead_scoring.scoring_target import ScoringTarget
from core.lead_scoring.storing import forget, store


def rescore(
    target: ScoringTarget, rows: QuerySet, *, always: bool, limit: int | None = None
) -> tuple[list[int], Scored, engine.Loaded]:
    """Score the first `limit` of `rows` by id and store it, in the caller's transaction.

    Returns their ids, the result and what scored; `always` as in `store`. Where nothing scores the
    target, scores that are left are taken away.
    """
    by, found = _locked(target, rows, limit)
    ids, frame = by.reader.rows(found)
    scored = by.scorer.score(frame)
    if by.scores:
        store(target, ids, scored, by.origin, always=always)
    else:
        forget(target, target.model.objects.filter(pk__in=ids))
    return ids, scored, by


def _locked(
    target: ScoringTarget, rows: QuerySet, limit: int | None
) -> tuple[engine.Loaded, list[tuple[Any, ...]]]:
    """What scores now, and (id, *columns) of the locked rows."""
    before = engine.current(target)
    held = rows.order_by("pk").select_for_update(of=("self",), no_key=True)
    found = list(held.values_list("pk", *before.reader.columns)[:limit])
    now = engine.current(target)
    if now.reader.columns == before.reader.columns:
        return now, found
    again = target.model.objects.filter(pk__in=[row[0] for row in found]).order_by("pk")
    return now, list(again.values_list("pk", *now.reader.columns))
