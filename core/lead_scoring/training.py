"""From leads with outcomes to a model: rules, members, blend, tables. Deterministic for the same input."""

import platform
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.lead_scoring import boosting, linear
from core.lead_scoring.blending import Blend, Way, average, fit_way
from core.lead_scoring.boosting import Boosting, Tables
from core.lead_scoring.features import Frame
from core.lead_scoring.inputs import Input, encode_all, learn_inputs
from core.lead_scoring.leaks import leaks
from core.lead_scoring.model import Model, rules_only
from core.lead_scoring.reference import reference
from core.lead_scoring.rules import POINTS_PER_LOGIT, RuleSet


@dataclass(frozen=True)
class Member:
    """One learner of the blend; `half_life` is a share of the history, None weighs all leads alike."""

    name: str
    half_life: float | None
    booster: Boosting | None = None
    prior: float = 0.0


MEMBERS = (
    Member("booster, recent", 0.2, Boosting(), 0.25),
    Member("logistic, recent", 0.2, None, 0.25),
    Member("booster", None, Boosting(), 0.25),
    Member("logistic", None, None, 0.25),
    Member("deep booster", None, Boosting(trees=300, learning_rate=0.1, leaves=16, leaf_size=20)),
    Member("naive Bayes", None),
)
# (of the prior only members that weigh all leads alike, spread of weights, of the intercept, half-life)
WAYS = (
    (True, 0.02, 0.02, 10.0),
    (False, 0.02, 0.02, 10.0),
    (False, 0.3, 0.02, 10.0),
    (False, 0.3, 0.3, 10.0),
    (False, 0.3, 2.0, 10.0),
    (False, 0.3, 2.0, 0.3),
)


@dataclass(frozen=True)
class Recipe:
    """Every setting of the training (docs/scoring.md says how they were found)."""

    members: tuple[Member, ...] = MEMBERS
    # Fewer closed leads or wins than these and only the rules score.
    least_leads: int = 50
    least_wins: int = 5
    # What was learned weighs nothing until the smaller class has `unheard` leads; `evidence` more and it
    # weighs as much as the rules.
    unheard: float = 10.0
    evidence: float = 50.0
    # Below it members are judged by folds, from it on by how they foretold later leads.
    forward_from: int = 1_000
    # The newest leads that inner fits look at.
    inner_limit: int = 20_000
    # Conversion rate taken for granted before there are outcomes, and how many leads' worth.
    prior_rate: float = 0.2
    prior_leads: float = 10.0


RECIPE = Recipe()
# A member of so little weight is not fitted: nobody would hear it.
UNHEARD = 1e-3


@dataclass
class Training:
    """Leads in time order, and what is learned from them step by step."""

    frame: Frame
    won: np.ndarray
    rules: RuleSet
    recipe: Recipe
    weights: np.ndarray
    inputs: list[Input] = field(default_factory=list)
    dropped: dict[str, str] = field(default_factory=dict)
    codes: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int16))

    @property
    def leads(self) -> float:
        """How many leads there are; several looks at one lead weigh one together."""
        return float(self.weights.sum())

    @property
    def wins(self) -> float:
        return float(self.weights @ self.won)

    @property
    def smaller_class(self) -> float:
        return min(self.wins, self.leads - self.wins)

    @property
    def members(self) -> tuple[Member, ...]:
        """With few leads only members that count from the start: the others would not be heard."""
        few = len(self.won) < self.recipe.forward_from
        return tuple(m for m in self.recipe.members if m.prior or not few)

    @property
    def strength(self) -> float:
        """How little logistic regression is held back (scikit-learn's C): less so with more evidence."""
        return min(1.0, self.smaller_class / 200)


def train(
    frame: Frame,
    won: np.ndarray,
    rules: RuleSet,
    *,
    weights: np.ndarray | None = None,
    allowed: Collection[str] = (),
    recipe: Recipe = RECIPE,
) -> Model:
    """A model of leads in time order with outcomes (0 or 1).

    `weights` are the leads' own (1 by default); `allowed` features are kept whatever the leak check says.
    """
    import sklearn.ensemble  # noqa: F401  heavy; its thread pools must be there to be limited
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    # Two workers on two cores spend more time on waiting for each other's threads than they save.
    with threadpool_limits(1):
        return _train(frame, won, rules, weights, allowed, recipe)


def _train(
    frame: Frame,
    won: np.ndarray,
    rules: RuleSet,
    weights: np.ndarray | None,
    allowed: Collection[str],
    recipe: Recipe,
) -> Model:
    weighed = np.ones(len(won)) if weights is None else weights
    job = Training(frame, won.astype(np.float64), rules, recipe, weighed)
    intercept, slope = rule_calibration(job)
    # The sum of thirds of a lead may lack the last bit of a whole one.
    if job.leads + 0.5 < recipe.least_leads or job.smaller_class + 0.5 < recipe.least_wins:
        return rules_only(rules, intercept, slope, about(job, {}))
    job.dropped = {key: why for key, why in leaks(frame, job.won).items() if key not in allowed}
    job.frame = frame.without(job.dropped)
    job.inputs, without = learn_inputs(job.frame)
    job.dropped |= without
    if not job.inputs:
        return rules_only(rules, intercept, slope, about(job, {}))
    job.codes = encode_all(job.inputs, job.frame)
    return _assemble(job, blend_of(job, intercept, slope), intercept, slope)


def rule_calibration(job: Training) -> tuple[float, float]:
    """Platt scaling of the rules, from a prior: (log-odds at the base, log-odds per 25 points)."""
    recipe = job.recipe
    wins, leads = job.wins + recipe.prior_rate * recipe.prior_leads, job.leads + recipe.prior_leads
    prior = _logit(wins / leads)
    if not len(job.won):
        return prior, 1.0
    points = job.rules.points(job.frame).sum(axis=1)[:, None] / POINTS_PER_LOGIT
    centre = float(points.mean())
    way = Way(np.array([1.0]), weight_spread=0.5, intercept_spread=1.0)
    fitted = fit_way(way, points - centre, job.won, job.weights, offset=prior)
    slope = float(fitted.weights[0])
    return fitted.intercept - slope * centre, slope


def _logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def member_tables(job: Training, rows: np.ndarray) -> list[Tables]:
    """Every member fitted on some of the leads (indices in time order)."""
    codes, won, frame = job.codes[rows], job.won[rows], job.frame.take(rows)
    return [_fit(job, member, codes, won, frame, job.weights[rows]) for member in job.members]


def _fit(
    job: Training, member: Member, codes: np.ndarray, won: np.ndarray, frame: Frame, own: np.ndarray
) -> Tables:
    weights = own * recency(len(won), member.half_life)
    if member.booster:
        booster = boosting.fit_booster(job.inputs, codes, won, weights, member.booster)
        return boosting.compile_booster(booster, job.inputs, codes)
    if member.name == "naive Bayes":
        return linear.fit_naive_bayes(job.inputs, codes, won, weights)
    return linear.fit_logistic(job.inputs, codes, frame, won, weights, job.strength)


def recency(n: int, half_life: float | None) -> np.ndarray:
    """Weights with mean one that halve with every `half_life` of the history."""
    if half_life is None:
        return np.ones(n)
    weights = 0.5 ** ((1 - (np.arange(n) + 1) / n) / half_life)
    return weights * n / weights.sum()


def blend_of(job: Training, intercept: float, slope: float) -> Blend:
    """Weights of the members and, last, of the rules."""
    rows, logits = _folded(job) if len(job.won) < job.recipe.forward_from else _foretold(job)
    points = job.rules.points(job.frame.take(rows)).sum(axis=1) / POINTS_PER_LOGIT
    members = np.c_[logits, intercept + slope * points]
    heard = max(job.smaller_class - job.recipe.unheard, 0.0)
    share = heard / (heard + job.recipe.evidence)
    if len(job.won) < job.recipe.forward_from:
        way = Way(_prior(job, False, share), 0.3 * share + 1e-3, 0.3 * share + 1e-3)
        return fit_way(way, members, job.won[rows], job.weights[rows])
    ways = [Way(_prior(job, alike, share), *spread) for alike, *spread in WAYS]
    return average(ways, members, job.won[rows], job.weights[rows])


def _prior(job: Training, alike: bool, share: float) -> np.ndarray:
    """Prior weights: `share` divided among the members, the rest on the rules."""
    priors = np.array([m.prior * (m.half_life is None or not alike) for m in job.members])
    return np.r_[priors / priors.sum() * share, 1 - share]


def _folded(job: Training, folds: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """All leads, each with the log-odds of members that were fitted without it."""
    n = len(job.won)
    # Every fold gets its part of the wins: leads are dealt out by outcome, in time order.
    fold = np.empty(n, dtype=int)
    fold[np.argsort(job.won, kind="stable")] = np.arange(n) % folds
    logits = np.empty((n, len(job.members)))
    for k in range(folds):
        tables = member_tables(job, np.flatnonzero(fold != k))
        logits[fold == k] = np.column_stack([t.logits(job.codes[fold == k]) for t in tables])
    return np.arange(n), logits


def _foretold(job: Training) -> tuple[np.ndarray, np.ndarray]:
    """The newest three tenths, each half with the log-odds of members fitted on what was before it."""
    n = len(job.won)
    halves = [(int(n * 0.7), int(n * 0.85)), (int(n * 0.85), n)]
    parts = []
    for start, end in halves:
        step = max(1, -(-start // job.recipe.inner_limit))
        tables = member_tables(job, np.arange(start)[::-1][::step][::-1])
        parts.append(np.column_stack([t.logits(job.codes[start:end]) for t in tables]))
    return np.arange(halves[0][0], n), np.vstack(parts)


def _assemble(job: Training, blend: Blend, intercept: float, slope: float) -> Model:
    """All members fitted on all leads, summed by weight into one set of centred tables."""
    weights = dict(zip([m.name for m in job.members], blend.weights, strict=False))
    total = boosting.empty_tables(job.inputs)
    for weight, member in zip(blend.weights, job.members, strict=False):
        if weight > UNHEARD:
            fitted = _fit(job, member, job.codes, job.won, job.frame, job.weights)
            total = total.plus(fitted.scaled(float(weight)))
    tables = boosting.centred(total, job.codes, job.weights)
    rule_weight = float(blend.weights[-1] * slope)
    points = job.rules.points(job.frame)
    means = np.average(points, axis=0, weights=job.weights)
    base = tables.intercept + blend.intercept + blend.weights[-1] * intercept
    learned = float(blend.weights[:-1].sum())
    return Model(
        inputs=tuple(job.inputs),
        one=tuple(tables.one),
        two=tables.two,
        intercept=float(base + rule_weight * means.sum() / POINTS_PER_LOGIT),
        rules=job.rules,
        rule_weight=rule_weight,
        rule_means=tuple(float(mean) for mean in means),
        rule_share=float(blend.weights[-1] / max(learned + blend.weights[-1], 1e-9)),
        learned=True,
        about=about(job, weights),
    )


def about(job: Training, members: dict[str, Any]) -> dict[str, Any]:
    """What the artefact says of its own making."""
    import sklearn  # heavy, and only training needs it

    return {
        "leads": round(job.leads),
        "wins": round(job.wins),
        "dropped": job.dropped,
        "members": {name: round(float(weight), 4) for name, weight in members.items()},
        "reference": reference(job.inputs, job.codes),
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
        },
    }
