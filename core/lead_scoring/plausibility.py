"""Whether the newest outcomes look like outcomes at all: their rate, and whether they follow the model.

Outcomes may be wrong in bulk: an import that sets every lead to won, a field mapped the wrong way round.
Such leads must not be learned from, so a block counts only once it has been confirmed.
"""

import numpy as np

# One-sided 1 %: leads whose outcomes are shuffled pass once in a hundred times.
MIN_RANKING_Z = 2.33
# The newest share of the leads that has to be confirmed before a model that learned from it goes live.
NEWEST_BLOCK = 0.05
# The odds of winning may change by this factor from one block to the next without being suspicious, beside
# what chance and the past variation between blocks explain (in standard deviations).
MAX_ODDS_CHANGE = 4.0
DEVIATIONS = 3.0
PAST_BLOCKS = 10


def ranking_z(
    won: np.ndarray, probability: np.ndarray, weights: np.ndarray, blocks: np.ndarray | None = None
) -> float:
    """How surely leads with a higher probability are won more often, in standard deviations.

    The correlation of outcome and log-odds within `blocks` (one by default) times the root of the number of
    leads: standard normal where outcomes are shuffled, negative where they are reversed, 0 where all are
    alike.
    """
    number = np.zeros(len(won), dtype=int) if blocks is None else blocks
    safe = np.clip(probability, 1e-6, 1 - 1e-6)
    x, y = _centred(np.log(safe / (1 - safe)), number, weights), _centred(won, number, weights)
    total = float(weights.sum())
    spread = float((weights @ x**2) * (weights @ y**2)) ** 0.5
    if spread < 1e-12 * max(total, 1.0):
        return 0.0
    return float(weights @ (x * y)) / spread * max(total - number.max() - 1, 0.0) ** 0.5


def _centred(values: np.ndarray, blocks: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Each value less the mean of its block."""
    sums = np.bincount(blocks, weights=weights * values)
    counts = np.bincount(blocks, weights=weights)
    return values - np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)[blocks]


def implausible_rate(before: np.ndarray, won: np.ndarray, weights: np.ndarray) -> str:
    """Why the share won of a block is not to be believed after the outcomes `before` it, or ""."""
    leads, wins = float(weights.sum()), float(weights @ won)
    if not len(before) or leads < 1:
        return ""
    rates = [_log_odds(part.sum(), len(part)) for part in np.array_split(before, PAST_BLOCKS) if len(part)]
    expected, rate = float(before.mean()), wins / leads
    centre = _log_odds(before.sum(), len(before))
    chance = 1 / max(leads * expected * (1 - expected), 0.5) ** 0.5
    bound = np.log(MAX_ODDS_CHANGE) + DEVIATIONS * (chance**2 + np.var(rates)) ** 0.5
    if abs(_log_odds(wins, leads) - centre) <= bound:
        return ""
    return (
        f"of the newest {leads:.0f} leads {rate:.0%} were won, of those before {expected:.0%}; "
        "such a jump is more likely an error in the data than a change of the market"
    )


def _log_odds(wins: float, leads: float) -> float:
    return float(np.log((wins + 0.5) / (leads - wins + 0.5)))


def unconfirmed(won: np.ndarray, probability: np.ndarray, weights: np.ndarray, before: np.ndarray) -> str:
    """Why the newest block of leads is not confirmed by a model that never saw it, or ""."""
    problem = implausible_rate(before, won, weights)
    if problem:
        return problem
    z = ranking_z(won, probability, weights)
    if z >= MIN_RANKING_Z:
        return ""
    return (
        f"the outcomes of the newest {weights.sum():.0f} leads do not follow the model closely enough to be "
        f"sure that they are right (z = {z:.1f}, needed {MIN_RANKING_Z})"
    )
