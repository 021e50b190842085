"""Features that know the outcome: filled in afterwards, they make a model look perfect and be useless."""

import numpy as np

from core.lead_scoring.features import Frame
from core.lead_scoring.inputs import Input, learn_inputs
from core.lead_scoring.metrics import auc

# A single feature that predicts the outcome better than this is taken for its consequence.
LIMIT = 0.95
# From here on it is a suspect, where the change table shows that it is mostly written after the outcome.
SUSPECT = 0.8
FOLDS = 5
MIN_CLASS = 10
PRIOR = 2.0
SEED = 7


def leaks(frame: Frame, won: np.ndarray, groups: np.ndarray | None = None) -> dict[str, str]:
    """Feature → why it is taken for a leak: its value, or whether it is filled, predicts alone."""
    found = strengths(frame, won, groups)
    return {
        key: f"{what} alone predicts the outcome (AUC {value:.3f})"
        for key, (value, what) in found.items()
        if value > LIMIT
    }


def strengths(
    frame: Frame, won: np.ndarray, groups: np.ndarray | None = None
) -> dict[str, tuple[float, str]]:
    """Feature → (AUC of the better of its value and of whether it is filled, which of the two)."""
    if min(won.sum(), len(won) - won.sum()) < MIN_CLASS:
        return {}
    inputs, _ = learn_inputs(frame)
    found = {}
    for spec in frame.specs:
        alone = max(
            (_alone(one, frame, won, groups) for one in inputs if one.feature == spec.key), default=0.5
        )
        presence = _presence(frame.columns[spec.key], won)
        what = "whether it is filled" if presence >= alone else "its value"
        found[spec.key] = (max(alone, presence), what)
    return found


def _alone(one: Input, frame: Frame, won: np.ndarray, groups: np.ndarray | None) -> float:
    """AUC of the share won in each bin, learned on the other folds; rows of one group share a fold."""
    codes = one.encode(frame.columns[one.feature])
    number = np.arange(len(won)) if groups is None else np.unique(groups, return_inverse=True)[1]
    fold = (np.random.default_rng(SEED).permutation(number.max() + 1) % FOLDS)[number]
    rates = np.empty(len(won))
    for k in range(FOLDS):
        rest = fold != k
        counts = np.bincount(codes[rest], minlength=one.size) + PRIOR
        wins = np.bincount(codes[rest], weights=won[rest], minlength=one.size) + PRIOR * won[rest].mean()
        rates[~rest] = (wins / counts)[codes[~rest]]
    return auc(won, rates)


def _presence(values: np.ndarray, won: np.ndarray) -> float:
    if values.dtype == object:
        filled = np.array([value is not None for value in values], dtype=float)
    else:
        filled = (~np.isnan(values)).astype(float)
    found = auc(won, filled)
    return max(found, 1 - found)
