"""From leads with outcomes to a model: rules, members, blend, tables. Deterministic for the same input."""

import platform
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from core.lead_scoring import boosting, linear
from core.lead_scoring.blending import Blend, BlendCandidate, average, fit_candidate
from core.lead_scoring.boosting import Boosting, Tables
from core.lead_scoring.features import Frame
from core.lead_scoring.inputs import Input, encode_all, learn_inputs
from core.lead_scoring.leaks import leaks
from core.lead_scoring.metrics import log_losses
from core.lead_scoring.model import Model, rules_only
from core.lead_scoring.reference import reference
from core.lead_scoring.rules import POINTS_PER_LOGIT, RuleSet
from core.lead_scoring.scorer import sigmoid
from core.lead_scoring.target_encoding import Encoding, fit_encoded_tables


@dataclass(frozen=True)
class Member:
    """One learner of the blend; `half_life` is a share of the history, None weighs all leads alike.

    `prior` is its share of what was learned before anything is known of it, `prior_of_few` the same while
    leads are few: then members without one are left out.
    """

    name: str
    half_life: float | None
    learner: Boosting | Encoding | None = None
    prior: float = 0.0
    prior_of_few: float = 0.0


MEMBERS = (
    Member("booster, recent", 0.2, Boosting(), 0.25),
    Member("logistic, recent", 0.2, None, 0.25, 0.25),
    Member("booster", None, Boosting(), 0.25, 0.5),
    Member("logistic", None, None, 0.25, 0.25),
    Member("deep booster", None, Boosting(trees=60, learning_rate=0.2, leaves=16, leaf_size=20)),
    Member("naive Bayes", None),
    Member("encoded categories and pairs", None, Encoding(), 0.25),
    Member("encoded booster", None, Encoding(paired=True), 0.25),
)
# Where the stretches begin that members predict from all leads before them, as shares of the leads; few leads
# are worth one.
STEPS, FEW_STEPS = (0.7, 0.85), (0.7,)
# (part of its share that what was learned may get, how probable that part is before it was tried)
TRUST = ((0.0, 0.1), (0.25, 0.1), (0.5, 0.2), (1.0, 0.6))
# (of the prior only members that weigh all leads alike, spread of weights, of the intercept, half-life)
CANDIDATES = (
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
    # What was learned weighs nothing until the smaller class has `evidence_offset` leads; `evidence` more and
    # it weighs as much as the rules.
    evidence_offset: float = 10.0
    evidence: float = 50.0
    # Below it members are judged by folds, from it on by how they predicted later leads.
    forward_from: int = 1_000
    # The newest leads that inner fits look at.
    inner_limit: int = 20_000
    # Conversion rate taken for granted before there are outcomes, and how many leads' worth.
    prior_rate: float = 0.2
    prior_leads: float = 10.0


RECIPE = Recipe()
# A member of so little weight is not fitted: it would change no score.
NEGLIGIBLE_WEIGHT = 1e-3


@dataclass
class Training:
    """Leads in time order, and what is learned from them step by step."""

    frame: Frame
    won: np.ndarray
    rules: RuleSet
    recipe: Recipe
    weights: np.ndarray
    # Which lead each row is about: rows of one lead have the same number and stand together.
    groups: np.ndarray
    # Rows of the whole training, of which these may be a part.
    size: int
    inputs: list[Input] = field(default_factory=list)
    dropped: dict[str, str] = field(default_factory=dict)
    codes: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int16))

    @property
    def leads(self) -> float:
        """How many leads there are; several snapshots of one lead weigh one together."""
        return float(self.weights.sum())

    @property
    def wins(self) -> float:
        return float(self.weights @ self.won)

    @property
    def smaller_class(self) -> float:
        return min(self.wins, self.leads - self.wins)

    @property
    def members(self) -> tuple[Member, ...]:
        """With few leads only members that count from the start: the others would weigh next to nothing."""
        return tuple(m for m in self.recipe.members if m.prior_of_few or not self.few)

    @property
    def few(self) -> bool:
        """Whether members are judged by folds and not by how they predicted later leads alone."""
        return self.size < self.recipe.forward_from

    @property
    def strength(self) -> float:
        """How little logistic regression is held back (scikit-learn's C): less so with more evidence."""
        return min(1.0, self.smaller_class / 200)

    def rows(self, rows: np.ndarray) -> "Training":
        """The same training of some of the leads (indices in time order)."""
        return replace(
            self,
            frame=self.frame.take(rows),
            won=self.won[rows],
            weights=self.weights[rows],
            groups=self.groups[rows],
            codes=self.codes[rows] if len(self.codes) else self.codes,
        )


def train(
    frame: Frame,
    won: np.ndarray,
    rules: RuleSet,
    *,
    weights: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    allowed: Collection[str] = (),
    recipe: Recipe = RECIPE,
) -> Model:
    """A model of leads in time order with outcomes (0 or 1).

    `weights` are the rows' own (1 by default), `groups` say which rows are about the same lead (none by
    default); `allowed` features are kept whatever the leak check says.
    """
    import sklearn.ensemble  # noqa: F401  heavy; its thread pools must be there to be limited
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    # Two workers on two cores spend more time on waiting for each other's threads than they save.
    with threadpool_limits(1):
        return _train(training_of(frame, won, rules, weights, groups, recipe), allowed)


def training_of(
    frame: Frame,
    won: np.ndarray,
    rules: RuleSet,
    weights: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    recipe: Recipe = RECIPE,
) -> Training:
    """A training before anything was learned."""
    weighed = np.ones(len(won)) if weights is None else weights
    grouped = np.arange(len(won)) if groups is None else groups
    return Training(frame, won.astype(np.float64), rules, recipe, weighed, grouped, len(won))


def _train(job: Training, allowed: Collection[str]) -> Model:
    rules, recipe = job.rules, job.recipe
    intercept, slope = rule_calibration(job)
    # The sum of thirds of a lead may lack the last bit of a whole one.
    if job.leads + 0.5 < recipe.least_leads or job.smaller_class + 0.5 < recipe.least_wins:
        return rules_only(rules, intercept, slope, about(job, {}))
    job.dropped = {
        key: why for key, why in leaks(job.frame, job.won, job.groups).items() if key not in allowed
    }
    job.frame = job.frame.without(job.dropped)
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
    candidate = BlendCandidate(np.array([1.0]), weight_spread=0.5, intercept_spread=1.0)
    fitted = fit_candidate(candidate, points - centre, job.won, job.weights, offset=prior)
    slope = float(fitted.weights[0])
    return fitted.intercept - slope * centre, slope


def _logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def member_tables(job: Training) -> list[Tables]:
    """Every member fitted on the leads of a training."""
    return [_fit(job, member) for member in job.members]


def _fit(job: Training, member: Member) -> Tables:
    weights = job.weights * recency(len(job.won), member.half_life)
    if isinstance(member.learner, Boosting):
        return boosting.fit_boosted_tables(job.inputs, job.codes, job.won, weights, member.learner)
    if isinstance(member.learner, Encoding):
        return fit_encoded_tables(job.inputs, job.codes, job.won, weights, job.groups, member.learner)
    if job.won.min() == job.won.max():
        return boosting.prior_tables(job.inputs, job.won, weights)
    if member.name == "naive Bayes":
        return linear.fit_naive_bayes(job.inputs, job.codes, job.won, weights)
    return linear.fit_logistic(job.inputs, job.codes, job.frame, job.won, weights, job.strength)


def recency(n: int, half_life: float | None) -> np.ndarray:
    """Weights with mean one that halve with every `half_life` of the history."""
    if half_life is None:
        return np.ones(n)
    weights = 0.5 ** ((1 - (np.arange(n) + 1) / n) / half_life)
    return weights * n / weights.sum()


@dataclass(frozen=True)
class Predicted:
    """Rows of a training with the log-odds that members, and the rules calibrated on the same leads as these,
    gave them without having seen them."""

    rows: np.ndarray
    members: np.ndarray
    ruled: np.ndarray


def blend_of(job: Training, intercept: float, slope: float) -> Blend:
    """Weights of the members and, last, of the rules."""
    later = _predict_later(job, FEW_STEPS if job.few else STEPS)
    share = learned_share(job) * trust(job, later)
    found = _predict_folds(job) if job.few else later
    points = job.rules.points(job.frame.take(found.rows)).sum(axis=1) / POINTS_PER_LOGIT
    members = np.c_[found.members, intercept + slope * points]
    won, weights = job.won[found.rows], job.weights[found.rows]
    if job.few:
        candidate = BlendCandidate(_prior(job, False, share), 0.3 * share + 1e-3, 0.3 * share + 1e-3)
        return fit_candidate(candidate, members, won, weights)
    candidates = [BlendCandidate(_prior(job, alike, share), *spread) for alike, *spread in CANDIDATES]
    return average(candidates, members, won, weights)


def learned_share(job: Training) -> float:
    """How much what was learned may weigh beside the rules, from how much evidence there is."""
    counted = max(job.smaller_class - job.recipe.evidence_offset, 0.0)
    return counted / (counted + job.recipe.evidence)


def trust(job: Training, later: Predicted) -> float:
    """How much of its share what was learned has earned: 0 to 1, by how it predicted later leads.

    Several parts of the share are tried on leads that came after those learned from, and averaged by their
    likelihood. Where the world drifts and the newest leads are predicted worse than by the rules alone, the
    weight of what was learned grows more slowly.
    """
    share, won, weights = learned_share(job), job.won[later.rows], job.weights[later.rows]
    columns = np.c_[later.members, later.ruled]
    parts = np.array([part for part, _ in TRUST])
    losses = np.array(
        [weights @ log_losses(won, sigmoid(columns @ _prior(job, False, share * part))) for part in parts]
    )
    odds = np.array([prior for _, prior in TRUST]) * np.exp(losses.min() - losses)
    return float(parts @ odds / odds.sum())


def _prior(job: Training, alike: bool, share: float) -> np.ndarray:
    """Prior weights: `share` divided among the members, the rest on the rules."""
    priors = np.array(
        [(m.prior_of_few if job.few else m.prior) * (m.half_life is None or not alike) for m in job.members]
    )
    return np.r_[priors / priors.sum() * share, 1 - share]


def _predict_folds(job: Training, folds: int = 5) -> Predicted:
    """All rows, each predicted by members that were fitted without its lead."""
    # Every fold gets its part of the wins: leads are dealt out by outcome, in time order.
    _, first, lead = np.unique(job.groups, return_index=True, return_inverse=True)
    dealt = np.empty(len(first), dtype=int)
    dealt[np.argsort(job.won[first], kind="stable")] = np.arange(len(first)) % folds
    fold = dealt[lead]
    members, ruled = np.empty((len(fold), len(job.members))), np.empty(len(fold))
    for k in range(folds):
        members[fold == k], ruled[fold == k] = _predict(job, fold != k, fold == k)
    return Predicted(np.arange(len(fold)), members, ruled)


def _predict_later(job: Training, steps: Sequence[float]) -> Predicted:
    """The leads after the first of `steps`, each stretch predicted by members that know what came before."""
    n = len(job.won)
    edges = [int(n * step) for step in steps] + [n]
    parts = []
    for start, end in pairwise(edges):
        thinned = np.arange(start)[::-1][:: max(1, -(-start // job.recipe.inner_limit))][::-1]
        parts.append(_predict(job, thinned, np.arange(start, end)))
    members, ruled = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Predicted(np.arange(edges[0], n), members, ruled)


def _predict(job: Training, past: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds of some rows by members, and by the rules, that know only the past."""
    known = job.rows(np.arange(len(job.won))[past])
    intercept, slope = rule_calibration(known)
    points = job.rules.points(job.frame.take(rows)).sum(axis=1) / POINTS_PER_LOGIT
    members = np.column_stack([tables.logits(job.codes[rows]) for tables in member_tables(known)])
    return members, intercept + slope * points


def _assemble(job: Training, blend: Blend, intercept: float, slope: float) -> Model:
    """All members fitted on all leads, summed by weight into one set of centred tables."""
    weights = dict(zip([m.name for m in job.members], blend.weights, strict=False))
    total = boosting.empty_tables(job.inputs)
    for weight, member in zip(blend.weights, job.members, strict=False):
        if weight > NEGLIGIBLE_WEIGHT:
            total = total.plus(_fit(job, member).scaled(float(weight)))
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
