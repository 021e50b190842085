"""One retraining: a challenger judged on leads it never saw, then fitted on all of them."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.lead_scoring.card import card
from core.lead_scoring.features import Frame
from core.lead_scoring.gate import Verdict, held_out, judge
from core.lead_scoring.model import Model, rules_only
from core.lead_scoring.rules import RuleSet
from core.lead_scoring.scorer import Scorer
from core.lead_scoring.training import RECIPE, Training, rule_calibration, train


@dataclass(frozen=True)
class Retrained:
    """`model` is fitted on all leads; `twin` without the newest, on which `verdict` and `card` were made.

    The twin stands for the model when the next challenger is judged, so that a champion is never judged on
    leads it learned from.
    """

    model: Model
    twin: Model
    verdict: Verdict
    card: dict[str, Any]


def retrain(
    frame: Frame,
    won: np.ndarray,
    rules: RuleSet,
    champion: Model | None,
    *,
    weights: np.ndarray | None = None,
    allowed: Collection[str] = (),
) -> Retrained:
    """Train on leads in time order; without a champion the rules alone, Platt-scaled, are to be matched."""
    weighed = np.ones(len(won)) if weights is None else weights
    split = newest_from(weighed)
    past, newest = frame.take(np.arange(split)), frame.take(np.arange(split, len(won)))
    twin = train(past, won[:split], rules, weights=weighed[:split], allowed=allowed)
    incumbent = champion or rules_alone(past, won[:split], rules, weighed[:split])
    outcomes, found = won[split:], Scorer(twin).probabilities(newest)
    verdict = judge(outcomes, Scorer(incumbent).probabilities(newest), found, weighed[split:])
    model = train(frame, won, rules, weights=weighed, allowed=allowed)
    return Retrained(model, twin, verdict, card(twin, newest, outcomes, incumbent))


def newest_from(weights: np.ndarray) -> int:
    """The first look of those that hold the newest leads kept for the judgement."""
    newer = np.cumsum(weights[::-1])[::-1]
    return int((newer > held_out(round(float(weights.sum()))) + 1e-6).sum())


def rules_alone(frame: Frame, won: np.ndarray, rules: RuleSet, weights: np.ndarray) -> Model:
    """The rules with the log-odds that these leads give them."""
    calibration = rule_calibration(Training(frame, won, rules, RECIPE, weights))
    return rules_only(rules, *calibration, {"leads": len(won), "wins": int(won.sum())})
