"""One retraining: a challenger judged on leads it never saw, then fitted on all of them."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from core.lead_scoring.features import Frame
from core.lead_scoring.gate import MARGIN, MOST_OF_ALL, Verdict, held_out, judge
from core.lead_scoring.metrics import log_losses
from core.lead_scoring.model import Model, rules_only
from core.lead_scoring.model_card import card
from core.lead_scoring.plausibility import NEWEST_BLOCK, unconfirmed
from core.lead_scoring.rules import RuleSet
from core.lead_scoring.scorer import Scorer
from core.lead_scoring.training import rule_calibration, train, training_of

LIVE, RULES, PRIOR, CHALLENGER = "the live model", "the rules", "the class prior", "challenger"
# Where the blocks begin on which a first model is judged, as shares of the leads from the newest.
FIRST_STEPS = (0.6, 0.4, 0.2)


@dataclass(frozen=True)
class Retrained:
    """`model` is what may go live; `holdout_model` was fitted without the newest leads, and `verdict` and
    `card` were made on those.

    It stands for the model when the next challenger is judged, so that a champion is never judged on leads
    it learned from. `model` is `holdout_model` itself where the challenger was refused, and where the
    newest leads are suspicious: `suspicion` then says why they were left out.
    """

    model: Model
    holdout_model: Model
    verdict: Verdict
    card: dict[str, Any]
    suspicion: str = ""


def retrain(
    frame: Frame,
    won: np.ndarray,
    rules: RuleSet,
    champion: Model | None,
    *,
    weights: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    allowed: Collection[str] = (),
) -> Retrained:
    """Train on leads in time order. Without a champion the rules and the class prior are to be beaten."""
    leads = leads_of(frame, won, rules, weights, groups, allowed)
    holdout_model, verdict, incumbent = judged(leads, champion)
    split = steps(leads.weights, first=champion is None)[-1][0]
    newest = leads.part(split, len(won))
    measured = card(holdout_model, newest.frame, newest.won, incumbent)
    if not verdict.passed:
        return Retrained(holdout_model, holdout_model, verdict, measured)
    suspicion = newest_block_suspicion(leads, holdout_model)
    if suspicion:
        return Retrained(holdout_model, holdout_model, verdict, measured, suspicion)
    model = leads.trained()
    suspicion = departure(model, holdout_model, newest)
    return Retrained(holdout_model if suspicion else model, holdout_model, verdict, measured, suspicion)


@dataclass(frozen=True)
class Leads:
    """Leads in time order with outcomes and weights, and what models are trained with."""

    frame: Frame
    won: np.ndarray
    rules: RuleSet
    weights: np.ndarray
    groups: np.ndarray
    allowed: Collection[str] = ()

    def part(self, start: int, end: int) -> "Leads":
        rows = np.arange(start, end)
        return replace(self, frame=self.frame.take(rows), won=self.won[rows], weights=self.weights[rows])

    def trained(self) -> Model:
        return train(self.frame, self.won, self.rules, weights=self.weights, allowed=self.allowed)

    @property
    def rate(self) -> float:
        return float(np.average(self.won, weights=self.weights)) if len(self.won) else 0.5


def leads_of(
    frame: Frame,
    won: np.ndarray,
    rules: RuleSet,
    weights: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    allowed: Collection[str] = (),
) -> Leads:
    """Leads of which each is one row, and weighs one, unless it is said otherwise."""
    each = np.ones(len(won)) if weights is None else weights
    return Leads(frame, won, rules, each, np.arange(len(won)) if groups is None else groups, allowed)


def judged(leads: Leads, champion: Model | None) -> tuple[Model, Verdict, Model]:
    """(model fitted without the newest leads, the verdict on it, what its card compares it with).

    Each block of held-out leads is predicted by models of all leads before it.
    """
    found: list[dict[str, np.ndarray]] = []
    blocks = steps(leads.weights, first=champion is None)
    for start, end in blocks:
        past, block = leads.part(0, start), leads.part(start, end)
        holdout_model = past.trained()
        ruled = rules_alone(past.frame, past.won, past.rules, past.weights)
        predicted = {
            CHALLENGER: Scorer(holdout_model).probabilities(block.frame),
            RULES: Scorer(ruled).probabilities(block.frame),
            PRIOR: np.full(block.frame.n, past.rate),
        }
        if champion:
            predicted[LIVE] = Scorer(champion).probabilities(block.frame)
        found.append(predicted)
    joined = {name: np.concatenate([one[name] for one in found]) for name in found[0]}
    start = blocks[0][0]
    verdict = judge(
        leads.won[start:],
        joined.pop(CHALLENGER),
        joined,
        leads.weights[start:],
        first=champion is None,
        before=leads.won[:start],
        blocks=np.repeat(np.arange(len(blocks)), [end - begin for begin, end in blocks]),
    )
    if not holdout_model.learned:
        verdict = replace(verdict, passed=False, reason="Nothing was learned beside the rules.")
    return holdout_model, verdict, champion or ruled


def steps(weights: np.ndarray, *, first: bool) -> list[tuple[int, int]]:
    """The held-out blocks, as (start, end): the newest leads, or where nothing is live yet and leads are few,
    three blocks that hold the newest three fifths, because a fifth would prove little."""
    leads, end = float(weights.sum()), len(weights)
    if not first or held_out(round(leads)) < MOST_OF_ALL * leads - 1:
        return [(newest_from(weights), end)]
    edges = [rows_before(weights, share * leads) for share in FIRST_STEPS] + [end]
    return list(pairwise(edges))


def newest_block_suspicion(leads: Leads, holdout_model: Model) -> str:
    """Why the newest block should not be learned from, judged by a model that did not see it, or ""."""
    start = rows_before(leads.weights, NEWEST_BLOCK * float(leads.weights.sum()))
    block = leads.part(start, len(leads.won))
    found = Scorer(holdout_model).probabilities(block.frame)
    return unconfirmed(block.won, found, block.weights, leads.won[:start])


def departure(model: Model, holdout_model: Model, newest: Leads) -> str:
    """Why the model fitted on all leads is not the one that was judged, or "".

    It has learned from the held-out leads, so it must predict them at least as well.
    """
    mine, judged_one = (
        float(
            np.average(
                log_losses(newest.won, Scorer(one).probabilities(newest.frame)), weights=newest.weights
            )
        )
        for one in (model, holdout_model)
    )
    if mine <= judged_one + MARGIN:
        return ""
    return (
        f"fitted on all leads the model predicts the newest worse (log loss {mine:.4f}) than without them "
        f"({judged_one:.4f})"
    )


def newest_from(weights: np.ndarray) -> int:
    """The first row of those that hold the newest leads kept for the judgement."""
    return rows_before(weights, held_out(round(float(weights.sum()))))


def rows_before(weights: np.ndarray, leads: float) -> int:
    """How many rows come before those of the newest `leads`."""
    newer = np.cumsum(weights[::-1])[::-1]
    return int((newer > leads + 1e-6).sum())


def rules_alone(frame: Frame, won: np.ndarray, rules: RuleSet, weights: np.ndarray) -> Model:
    """The rules with the log-odds that these leads give them."""
    calibration = rule_calibration(training_of(frame, won, rules, weights))
    return rules_only(rules, *calibration, {"leads": len(won), "wins": int(won.sum())})
