"""Members of the model beside the booster: logistic regression and naive Bayes, both as one-way tables."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from core.lead_scoring.boosting import Tables, empty_tables
from core.lead_scoring.features import Frame
from core.lead_scoring.inputs import Input

# Odoo's smoothing of its naive Bayes.
ODOO_PRIOR = 0.1


@dataclass(frozen=True)
class Design:
    """What each bin of an input stands for in a linear model: a matrix of bins by columns."""

    blocks: tuple[np.ndarray, ...]

    def matrix(self, codes: np.ndarray) -> np.ndarray:
        """The design matrix of leads."""
        parts = [block[codes[:, i]] for i, block in enumerate(self.blocks)]
        return np.hstack(parts) if parts else np.zeros((len(codes), 0))

    def tables(self, inputs: list[Input], intercept: float, slopes: np.ndarray) -> Tables:
        made = empty_tables(inputs)
        made.intercept = intercept
        at = 0
        for i, block in enumerate(self.blocks):
            width = block.shape[1]
            made.one[i] = block @ slopes[at : at + width]
            at += width
        return made


def linear_design(inputs: list[Input], codes: np.ndarray, frame: Frame, weights: np.ndarray) -> Design:
    """Numbers as the standardised mean of their bin and whether they are missing; others one column a bin."""
    blocks = []
    for i, one in enumerate(inputs):
        counts = np.bincount(codes[:, i], weights=weights, minlength=one.size)
        values = frame.column(one.feature)
        if one.is_number and values is not None:
            blocks.append(_number_block(one, codes[:, i], values, weights, counts))
        else:
            blocks.append(np.eye(one.size)[:, counts > 0])
    return Design(tuple(blocks))


def _number_block(
    one: Input, codes: np.ndarray, values: np.ndarray, weights: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    known = codes != one.missing
    if not known.any():
        return np.zeros((one.size, 0))
    # Squares of what is larger would overflow.
    low, high = np.clip(np.quantile(values[known], [0.005, 0.995]), -1e100, 1e100)
    clipped = np.clip(np.where(known, values, 0.0), low, high)
    sums = np.bincount(codes, weights=weights * clipped * known, minlength=one.size)
    centres = np.divide(sums, counts, out=np.zeros(one.size), where=counts > 0)
    filled = counts.copy()
    filled[one.missing] = 0
    columns = [_standardised(centres, filled)]
    if _skewed(centres, filled):
        columns.append(_standardised(np.log1p(np.maximum(centres - low, 0)), filled))
    block = np.column_stack([*columns, np.zeros(one.size)])
    block[counts == 0] = 0.0
    block[one.missing] = 0.0
    block[one.missing, -1] = 1.0
    return block if counts[one.missing] else block[:, :-1]


def _standardised(centres: np.ndarray, counts: np.ndarray) -> np.ndarray:
    mean = counts @ centres / counts.sum()
    spread = np.sqrt(counts @ (centres - mean) ** 2 / counts.sum())
    return (centres - mean) / (spread or 1.0)


def _skewed(centres: np.ndarray, counts: np.ndarray) -> bool:
    standard = _standardised(centres, counts)
    return abs(float(counts @ standard**3 / counts.sum())) > 1.0


def fit_logistic(
    inputs: list[Input],
    codes: np.ndarray,
    frame: Frame,
    won: np.ndarray,
    weights: np.ndarray,
    strength: float,
) -> Tables:
    """Ridge logistic regression as one-way tables; `strength` is scikit-learn's C."""
    from sklearn.linear_model import LogisticRegression  # heavy, and only training needs it

    design = linear_design(inputs, codes, frame, weights)
    matrix = design.matrix(codes)
    fitted: Any = LogisticRegression(C=strength, max_iter=300).fit(matrix, won, sample_weight=weights)
    return design.tables(inputs, float(fitted.intercept_[0]), fitted.coef_[0])


def fit_naive_bayes(inputs: list[Input], codes: np.ndarray, won: np.ndarray, weights: np.ndarray) -> Tables:
    """Log-likelihood ratios of each bin, with Odoo's smoothing of counts."""
    tables = empty_tables(inputs)
    prior = float((weights * won).sum() / weights.sum())
    tables.intercept = float(np.log(prior / (1 - prior)))
    for i, one in enumerate(inputs):
        wins = np.bincount(codes[:, i], weights=weights * won, minlength=one.size) + ODOO_PRIOR
        losses = np.bincount(codes[:, i], weights=weights * (1 - won), minlength=one.size) + ODOO_PRIOR
        tables.one[i] = np.log(wins / wins.sum()) - np.log(losses / losses.sum())
        tables.one[i][wins + losses < 1] = 0.0
    return tables
