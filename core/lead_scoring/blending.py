"""How much each member of the model, and the rules, weigh: logistic stacking that starts from a stated prior.

Weights are never negative and are pulled towards the prior; few outcomes move them little. How far
calibration follows the newest leads is itself tried on later leads, and the candidates tried are
averaged by how well they did.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.lead_scoring.metrics import log_losses
from core.lead_scoring.scorer import sigmoid

BLOCKS = 6
AHEAD = 2
# A candidate whose log loss is this much higher, relatively, counts 1/e as much.
TOLERANCE = 0.01


@dataclass(frozen=True)
class BlendCandidate:
    """One way to fit the blend: how far weights may leave the prior, how far the intercept may leave zero
    (standard deviations), and after which share of the leads a lead counts half."""

    prior: np.ndarray
    weight_spread: float
    intercept_spread: float
    half_life: float = 10.0


@dataclass(frozen=True)
class Blend:
    """log-odds = intercept + weights · members."""

    intercept: float
    weights: np.ndarray

    def logits(self, members: np.ndarray) -> np.ndarray:
        return self.intercept + members @ self.weights


def fit_candidate(
    candidate: BlendCandidate, members: np.ndarray, won: np.ndarray, sample: np.ndarray, offset: float = 0.0
) -> Blend:
    """The most probable blend given leads in time order: members' log-odds (n, k) and outcomes.

    `sample` are the leads' weights; `offset` is where the intercept is drawn to, zero by default.
    """
    from scipy.optimize import minimize  # comes with scikit-learn; only training needs it

    age = np.arange(len(won))[::-1] / max(len(won), 1)
    counted = 0.5 ** (age / candidate.half_life) * sample

    def loss(p: np.ndarray) -> tuple[float, np.ndarray]:
        z = offset + p[0] + members @ p[1:]
        residual = counted * (sigmoid(z) - won)
        off = (p[1:] - candidate.prior) / candidate.weight_spread
        value = counted @ (np.logaddexp(0, z) - won * z) + 0.5 * (
            off @ off + (p[0] / candidate.intercept_spread) ** 2
        )
        slope = members.T @ residual + off / candidate.weight_spread
        return float(value), np.r_[residual.sum() + p[0] / candidate.intercept_spread**2, slope]

    bounds = [(None, None)] + [(0.0, None)] * members.shape[1]
    found = minimize(loss, np.r_[0.0, candidate.prior], jac=True, method="L-BFGS-B", bounds=bounds)
    return Blend(offset + float(found.x[0]), found.x[1:])


def average(
    candidates: Sequence[BlendCandidate], members: np.ndarray, won: np.ndarray, sample: np.ndarray
) -> Blend:
    """All candidates fitted on all leads, averaged by how well each predicted later blocks from before."""
    losses = np.array([_later_loss(candidate, members, won, sample) for candidate in candidates])
    best = max(float(losses.min()), 1e-9)
    share = np.exp(-(losses - best) / best / TOLERANCE)
    share /= share.sum()
    blends = [fit_candidate(candidate, members, won, sample) for candidate in candidates]
    intercept = sum(s * blend.intercept for s, blend in zip(share, blends, strict=True))
    return Blend(intercept, sum(s * blend.weights for s, blend in zip(share, blends, strict=True)))


def _later_loss(candidate: BlendCandidate, members: np.ndarray, won: np.ndarray, sample: np.ndarray) -> float:
    """Mean log loss on blocks after the second, each predicted from all before it."""
    edges = np.linspace(0, len(won), BLOCKS + 1).astype(int)
    found = []
    for j in range(2, BLOCKS):
        past, future = slice(0, edges[j]), slice(edges[j], edges[min(BLOCKS, j + AHEAD)])
        blend = fit_candidate(candidate, members[past], won[past], sample[past])
        found.append(log_losses(won[future], sigmoid(blend.logits(members[future]))))
    return float(np.concatenate(found).mean())
