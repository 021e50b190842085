"""What other rules would do to the scores of today's open leads, computed and not stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.entities.blanking import seen_by
from core.lead_scoring import engine
from core.lead_scoring.model import rules_only
from core.lead_scoring.rule_store import mean_points
from core.lead_scoring.rules import RuleSet
from core.lead_scoring.scorer import Scorer
from core.lead_scoring.scoring_target import ScoringTarget, target_of
from core.lead_scoring.storing import ScoreOrigin

# From here on a score is high (a lead with it is hot), from LOW on medium.
HIGH, LOW = 71, 31
# So many leads are looked at, the newest ones.
SAMPLE = 5_000
EXAMPLES = 10
BAR = 10


@dataclass(frozen=True)
class Moved:
    """One lead whose score would move."""

    id: int
    name: str
    before: int
    after: int


@dataclass(frozen=True)
class ScoreBar:
    """How many leads have a score from `lowest` to `highest`, and how many would have."""

    lowest: int
    highest: int
    before: int
    after: int


@dataclass(frozen=True)
class Band:
    """How many leads are in a band of scores, and how many would be."""

    name: str
    before: int
    after: int


@dataclass(frozen=True)
class RuleEffect:
    """`leads` were looked at; there are more where `is_sample`. `examples` are those that move most."""

    leads: int
    is_sample: bool
    up: int
    down: int
    becoming_hot: int
    no_longer_hot: int
    average_before: float
    average_after: float
    bands: Sequence[Band]
    histogram: Sequence[ScoreBar]
    examples: Sequence[Moved]


def effect_of(rules: RuleSet, user: Any) -> RuleEffect:
    """How the scores of the open leads that `user` sees would move under `rules`; before as after, what was
    learned counts as it does now."""
    target = target_of()
    now = engine.current(target)
    then = _under(target, now, rules)
    rows = target.definition.visible_to(user).filter(target.scored, archived_at=None)
    found = rows.exclude(target.won | target.lost).order_by("-pk").values_list("pk", flat=True)[: SAMPLE + 1]
    wanted = list(found)
    ids, frame = now.reader.stored(wanted[:SAMPLE])
    before = now.scorer.score(frame).score
    # One that was deleted between the two readings is left out.
    ids_then, frame_then = then.reader.stored(ids)
    before = before[np.isin(ids, ids_then)]
    after = then.scorer.score(frame_then).score
    return _summed_up(np.array(ids_then, dtype=np.int64), before, after, user, is_sample=len(wanted) > SAMPLE)


def _under(target: ScoringTarget, now: engine.Loaded, rules: RuleSet) -> engine.Loaded:
    """What scores now, with other rules in it."""
    if rules == now.model.rules:
        return now
    if now.model.learned:
        model = now.model.under(rules, mean_points(target, rules))
    else:
        model = rules_only(rules, engine.FIRST_INTERCEPT, 1.0, {})
    return engine.Loaded(target, Scorer(model), ScoreOrigin(now.origin.model_id, None))


def _summed_up(
    ids: np.ndarray, before: np.ndarray, after: np.ndarray, user: Any, *, is_sample: bool
) -> RuleEffect:
    was, becomes = before >= HIGH, after >= HIGH
    return RuleEffect(
        leads=len(ids),
        is_sample=is_sample,
        up=int((after > before).sum()),
        down=int((after < before).sum()),
        becoming_hot=int((becomes & ~was).sum()),
        no_longer_hot=int((was & ~becomes).sum()),
        average_before=_mean(before),
        average_after=_mean(after),
        bands=_bands(before, after),
        histogram=_histogram(before, after),
        examples=_examples(ids, before, after, user),
    )


def _mean(scores: np.ndarray) -> float:
    return round(float(scores.mean()), 1) if len(scores) else 0.0


def _bands(before: np.ndarray, after: np.ndarray) -> list[Band]:
    edges = {"high": (HIGH, 101), "medium": (LOW, HIGH), "low": (0, LOW)}
    return [
        Band(name, *(int(((scores >= low) & (scores < high)).sum()) for scores in (before, after)))
        for name, (low, high) in edges.items()
    ]


def _histogram(before: np.ndarray, after: np.ndarray) -> list[ScoreBar]:
    """Ten bars; the last one holds 100 as well."""
    counted = [np.bincount(np.minimum(scores // BAR, 9), minlength=10) for scores in (before, after)]
    return [
        ScoreBar(i * BAR, 100 if i == 9 else i * BAR + BAR - 1, int(counted[0][i]), int(counted[1][i]))
        for i in range(10)
    ]


def _examples(ids: np.ndarray, before: np.ndarray, after: np.ndarray, user: Any) -> list[Moved]:
    order = np.argsort(-np.abs(after - before), kind="stable")[:EXAMPLES]
    chosen = [i for i in order if after[i] != before[i]]
    rows = seen_by(user, target_of().model.objects.filter(pk__in=[int(ids[i]) for i in chosen]))
    names = {row.pk: str(row) for row in rows}
    return [
        Moved(int(ids[i]), names[int(ids[i])], int(before[i]), int(after[i]))
        for i in chosen
        if int(ids[i]) in names
    ]
