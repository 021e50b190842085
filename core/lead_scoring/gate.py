"""Whether a challenger goes live: it must predict the newest held-out leads better than what is there.

Without a live model it must beat the rules and the class prior beyond doubt; with one it must not be worse.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.lead_scoring.metrics import ece, log_losses
from core.lead_scoring.plausibility import MIN_RANKING_Z, implausible_rate, ranking_z

# A challenger may be this much worse (in nats a lead) at the lower end of the interval. With fewer leads than
# FEW the interval alone is wider than that: there it may be no worse on average.
MARGIN = 0.005
FEW = 1_000
# Its calibration error may exceed the incumbent's by this much: about what chance alone does on 1,000 leads.
CALIBRATION_MARGIN = 0.02
NORMAL_95 = 1.96
# How many of the newest leads are held out: a tenth, but LEAST_HELD_OUT where that is less than MOST_OF_ALL.
HELD_OUT = 0.1
LEAST_HELD_OUT = 1_000
MOST_OF_ALL = 0.3


@dataclass(frozen=True)
class Verdict:
    """Whether the challenger passed, and the comparison that decided: with the strongest incumbent where it
    passed, else with the one it failed against.

    `difference` is the incumbent's less the challenger's mean log loss: above zero the challenger is better.
    `low` and `high` bound it with 95 % confidence. `champion_ece` is the incumbent's calibration error.
    """

    passed: bool
    reason: str
    difference: float
    low: float
    high: float
    n: int
    champion_ece: float
    challenger_ece: float
    against: str = ""

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass(frozen=True)
class Comparison:
    """Paired comparison of two models' probabilities for the same leads."""

    against: str
    incumbent_loss: float
    challenger_loss: float
    half_width: float
    incumbent_ece: float
    challenger_ece: float

    @property
    def gain(self) -> float:
        return self.incumbent_loss - self.challenger_loss

    @property
    def low(self) -> float:
        return self.gain - self.half_width

    @property
    def high(self) -> float:
        return self.gain + self.half_width

    def words(self) -> str:
        """For people: "log loss 0.4120 against 0.4433 of the rules: 0.0313 lower (95 % interval: …)"."""
        return (
            f"log loss {self.challenger_loss:.4f} against {self.incumbent_loss:.4f} of {self.against}: "
            f"{directed(self.gain)} (95 % interval: {directed(self.high)} to {directed(self.low)})"
        )


def directed(gain: float) -> str:
    """A gain of log loss in words: less loss is better."""
    return f"{abs(gain):.4f} {'lower' if gain >= 0 else 'higher'}"


def held_out(n: int) -> int:
    """How many of n leads, the newest, are kept for the judgement."""
    return min(max(int(n * HELD_OUT), LEAST_HELD_OUT), int(n * MOST_OF_ALL))


def compare(
    won: np.ndarray, against: str, incumbent: np.ndarray, challenger: np.ndarray, weights: np.ndarray
) -> Comparison:
    """95 % interval by the normal law. `weights` of several snapshots of one lead add up to one: they count
    as one lead, not as several."""
    gains = log_losses(won, incumbent) - log_losses(won, challenger)
    leads = max(float(weights.sum()), 1.0)
    mean = float(weights @ gains / leads)
    half = NORMAL_95 * float(weights @ (gains - mean) ** 2 / leads) ** 0.5 / leads**0.5
    loss = float(weights @ log_losses(won, challenger) / leads)
    return Comparison(against, loss + mean, loss, half, ece(won, incumbent), ece(won, challenger))


def judge(
    won: np.ndarray,
    challenger: np.ndarray,
    incumbents: Mapping[str, np.ndarray],
    weights: np.ndarray | None = None,
    *,
    first: bool,
    before: np.ndarray | None = None,
    blocks: np.ndarray | None = None,
) -> Verdict:
    """Compare probabilities for held-out leads with those of every incumbent, by name.

    `first`: nothing learned is live yet, so the gain over each incumbent must be above zero with 95 %
    confidence. Otherwise the challenger must not be worse than any by more than the margin. `before` are the
    outcomes of the leads before the held-out ones; `blocks` numbers leads that one model predicted.
    """
    counted = np.ones(len(won)) if weights is None else weights
    found = [compare(won, name, p, challenger, counted) for name, p in incumbents.items()]
    weakest = min(found, key=lambda one: one.low)
    reason = _doubt(won, challenger, counted, before, blocks)
    if not reason:
        failed = [(one, why) for one in found if (why := _shortfall(one, counted.sum(), first))]
        weakest, reason = min(failed, key=lambda pair: pair[0].low) if failed else (weakest, "")
    passed = not reason
    prefix = "Better: " if weakest.low > 0 else "No worse: "
    return Verdict(
        passed,
        prefix + weakest.words() if passed else reason,
        weakest.gain,
        weakest.low,
        weakest.high,
        len(won),
        weakest.incumbent_ece,
        weakest.challenger_ece,
        weakest.against,
    )


def _doubt(
    won: np.ndarray,
    challenger: np.ndarray,
    weights: np.ndarray,
    before: np.ndarray | None,
    blocks: np.ndarray | None,
) -> str:
    """Why the held-out leads are no yardstick, or the challenger is not measured by it, or ""."""
    if before is not None and (problem := implausible_rate(before, won, weights)):
        return f"Not judged: {problem}"
    z = ranking_z(won, challenger, weights, blocks)
    if z < MIN_RANKING_Z:
        return (
            f"No signal: of the newest {weights.sum():.0f} leads those given a higher chance were not won "
            f"more often than chance explains (z = {z:.1f}, needed {MIN_RANKING_Z})"
        )
    return ""


def _shortfall(one: Comparison, leads: float, first: bool) -> str:
    """Why the challenger does not pass against one incumbent, or ""."""
    if first and one.low <= 0:
        return f"Not certainly better: {one.words()}"
    if not first and (one.gain if leads < FEW else one.low) <= -MARGIN:
        return f"{'Worse' if one.gain < 0 else 'Possibly worse'}: {one.words()}"
    if one.challenger_ece > one.incumbent_ece + CALIBRATION_MARGIN and not first:
        return (
            f"Worse calibrated: calibration error {one.challenger_ece:.3f} against {one.incumbent_ece:.3f} "
            f"of {one.against}"
        )
    return ""
