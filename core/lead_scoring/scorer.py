"""Scores with exact reasons: NumPy only, from one lead to a million.

Contributions are exact Shapley values of the tables: a lead's cell in each one-way table and half of its
cell in each two-way table (Lundberg and Lee 2017; exact for additive models with pairs). Points are their
shares of score less base, rounded by largest remainder so that the integers add up.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from core.lead_scoring.features import Frame
from core.lead_scoring.inputs import encode_all
from core.lead_scoring.model import Model
from core.lead_scoring.rules import POINTS_PER_LOGIT

# What the rules lost at the ends of the scale (105 points are shown as 100), as a factor of its own.
CAP = "limit"


@dataclass(frozen=True)
class Scored:
    """Results for n leads. `points` are integers by lead and factor: base + their sum = score, for each.

    `shares` are the same before rounding. `codes` are the bins each input fell into, and behind them which
    rules held.
    """

    score: np.ndarray
    probability: np.ndarray
    points: np.ndarray
    shares: np.ndarray
    codes: np.ndarray


class Scorer:
    """Scores frames with one model."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._rule_means = np.array(model.rule_means)
        self._rule_scale = model.rule_weight / POINTS_PER_LOGIT

    @cached_property
    def factors(self) -> list[str]:
        """The features that have points, in the order of the columns of `points`; the cap is the last."""
        names = [one.feature for one in self.model.inputs] + self.model.rules.features()
        return [*dict.fromkeys(names), CAP]

    @property
    def code_width(self) -> int:
        """How many codes a lead has."""
        return len(self.model.inputs) + self.model.rules.code_width

    @cached_property
    def _input_factor(self) -> list[int]:
        return [self.factors.index(one.feature) for one in self.model.inputs]

    @cached_property
    def _rule_factor(self) -> list[int]:
        return [self.factors.index(name) for name in self.model.rules.features()]

    def logits(self, frame: Frame) -> np.ndarray:
        """Calibrated log-odds, float64."""
        return self.model.intercept + self._contributions(frame)[0].sum(axis=1)

    def probabilities(self, frame: Frame) -> np.ndarray:
        return sigmoid(self.logits(frame))

    def score(self, frame: Frame) -> Scored:
        """Scores, probabilities and points of every lead of the frame."""
        contributions, codes, held = self._contributions(frame)
        total = contributions.sum(axis=1)
        if self.model.learned:
            exact = 100 * sigmoid(total)
            score = np.rint(exact).astype(np.int64)
            shares = contributions * _stretch(exact - self.model.base_score, total)[:, None]
        else:
            shares, score = self._as_ruled(self.model.rules.points_of(held))
        points = rounded(shares, score - self.model.base_score)
        said = np.hstack([codes, self.model.rules.codes_of(held)])
        return Scored(score, sigmoid(self.model.intercept + total), points, shares, said)

    def _as_ruled(self, rule_points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rules' own points and scores, with what exceeds the scale taken off by the cap."""
        shares = np.zeros((len(rule_points), len(self.factors)))
        np.add.at(shares.T, self._rule_factor, rule_points.T)
        total = self.model.rules.base + rule_points.sum(axis=1)
        score = np.clip(total, 0, 100)
        shares[:, -1] = score - total
        return shares, score.astype(np.int64)

    def _contributions(self, frame: Frame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log-odds by lead and factor, the codes of the inputs, which rules hold."""
        model = self.model
        codes = encode_all(model.inputs, frame)
        by_factor = np.zeros((len(self.factors), frame.n))
        for i, table in enumerate(model.one):
            by_factor[self._input_factor[i]] += table[codes[:, i]]
        for (i, j), matrix in model.two.items():
            cells = matrix.ravel()[codes[:, i].astype(np.intp) * matrix.shape[1] + codes[:, j]] / 2
            by_factor[self._input_factor[i]] += cells
            by_factor[self._input_factor[j]] += cells
        held = model.rules.held(frame)
        if self._rule_scale:
            rule_points = model.rules.points_of(held)
            for column, factor in enumerate(self._rule_factor):
                by_factor[factor] += (rule_points[:, column] - self._rule_means[column]) * self._rule_scale
        return by_factor.T, codes, held


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * logits))


def _stretch(points: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Points per log-odd, for each lead; at a total of zero the slope of the curve there."""
    tiny = np.abs(logits) < 1e-9
    return np.where(tiny, 25.0, points / np.where(tiny, 1.0, logits))


def rounded(shares: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Integers nearest to each row's shares that add up to its target (largest remainder): int16."""
    whole = np.floor(shares)
    missing = (targets - whole.sum(axis=1)).astype(np.int64)
    width = shares.shape[1]
    each, rest = np.divmod(missing, width)
    rank = np.argsort(np.argsort(whole - shares, axis=1, kind="stable"), axis=1, kind="stable")
    return (whole + each[:, None] + (rank < rest[:, None])).astype(np.int16)
