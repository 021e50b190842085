"""Whether a challenger goes live: it must foretell the newest held-out leads no worse than the champion."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from core.lead_scoring.metrics import ece, log_losses

# A challenger may be this much worse (in nats a lead) at the lower end of the interval. With fewer leads than
# FEW the interval alone is wider than that: there it may be no worse on average.
MARGIN = 0.005
FEW = 1_000
# Its calibration error may exceed the champion's by this much: about what chance alone does on 1,000 leads.
CALIBRATION_MARGIN = 0.02
NORMAL_95 = 1.96
HELD_OUT = 0.1
LEAST_HELD_OUT = 200
MOST_OF_ALL = 0.3


@dataclass(frozen=True)
class Verdict:
    """`difference` is champion's less challenger's mean log loss: above zero the challenger is better."""

    passed: bool
    reason: str
    difference: float
    low: float
    high: float
    n: int
    champion_ece: float
    challenger_ece: float

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


def held_out(n: int) -> int:
    """How many of n leads, the newest, are kept for the judgement."""
    return min(max(int(n * HELD_OUT), LEAST_HELD_OUT), int(n * MOST_OF_ALL))


def judge(
    won: np.ndarray, champion: np.ndarray, challenger: np.ndarray, weights: np.ndarray | None = None
) -> Verdict:
    """Paired comparison of two models' probabilities for the same leads, 95 % interval by the normal law.

    `weights` of several looks at one lead add up to one: they count as one lead, not as several.
    """
    counted = np.ones(len(won)) if weights is None else weights
    gains = log_losses(won, champion) - log_losses(won, challenger)
    leads = max(float(counted.sum()), 1.0)
    mean = float(counted @ gains / leads)
    half = NORMAL_95 * float(counted @ (gains - mean) ** 2 / leads) ** 0.5 / leads**0.5
    errors = ece(won, champion), ece(won, challenger)
    reason = ""
    if (mean if leads < FEW else mean - half) <= -MARGIN:
        reason = f"may be worse: log loss better by {mean:+.4f}, at the lower end {mean - half:+.4f}"
    elif errors[1] > errors[0] + CALIBRATION_MARGIN:
        reason = f"worse calibrated: {errors[1]:.3f} against {errors[0]:.3f}"
    text = (
        reason
        or f"no worse: log loss better by {mean:+.4f}, between {mean - half:+.4f} and {mean + half:+.4f}"
    )
    return Verdict(not reason, text, mean, mean - half, mean + half, len(gains), *errors)
