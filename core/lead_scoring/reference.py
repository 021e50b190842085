"""What the leads looked like that a model was trained on: the share of each bin, for drift."""

from typing import Any

import numpy as np

from core.lead_scoring.inputs import Input


def reference(inputs: list[Input], codes: np.ndarray) -> list[list[float]]:
    """For each input the share of training leads in each of its bins."""
    return [shares(codes[:, i], one.size) for i, one in enumerate(inputs)]


def shares(codes: np.ndarray, size: int) -> list[float]:
    """The share of leads in each bin, rounded to six places."""
    counts = np.bincount(codes, minlength=size) / max(len(codes), 1)
    return [round(float(share), 6) for share in counts]


def stability(expected: Any, actual: Any) -> float:
    """Population stability index between two lists of shares: 0 is equal, above 0.25 is another population.

    Shares below 1/10,000 count as that, so that an empty bin is not infinitely far away.
    """
    before, after = np.maximum(np.array(expected), 1e-4), np.maximum(np.array(actual), 1e-4)
    return float(((after - before) * np.log(after / before)).sum())
