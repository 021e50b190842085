"""The additive booster: histogram gradient boosting limited to pairs of inputs, compiled to tables.

A tree whose every path looks at no more than two inputs is a sum of indicator products over their bins; each
leaf is added into the table of its inputs. (Lou, Caruana, Gehrke and Hooker 2013 for the model class.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from core.lead_scoring.features import Kind
from core.lead_scoring.inputs import Input

Pair = tuple[int, int]


@dataclass
class Tables:
    """A model in the making, in log-odds."""

    intercept: float
    one: list[np.ndarray]
    two: dict[Pair, np.ndarray]

    def logits(self, codes: np.ndarray) -> np.ndarray:
        total = np.full(len(codes), self.intercept)
        for i, table in enumerate(self.one):
            total += table[codes[:, i]]
        for (i, j), matrix in self.two.items():
            total += matrix[codes[:, i], codes[:, j]]
        return total

    def scaled(self, factor: float) -> "Tables":
        return Tables(
            self.intercept * factor,
            [table * factor for table in self.one],
            {pair: matrix * factor for pair, matrix in self.two.items()},
        )

    def plus(self, other: "Tables") -> "Tables":
        pairs = self.two.keys() | other.two.keys()
        return Tables(
            self.intercept + other.intercept,
            [a + b for a, b in zip(self.one, other.one, strict=True)],
            {pair: _sum(self.two.get(pair), other.two.get(pair)) for pair in sorted(pairs)},
        )


def _sum(first: np.ndarray | None, second: np.ndarray | None) -> np.ndarray:
    """The sum of a pair's tables; one that is missing adds nothing."""
    given = [table for table in (first, second) if table is not None]
    return np.sum(given, axis=0)


def empty_tables(inputs: list[Input]) -> Tables:
    return Tables(0.0, [np.zeros(one.size) for one in inputs], {})


@dataclass(frozen=True)
class Boosting:
    """Settings of the booster, found on rolling origins (docs/scoring.md)."""

    trees: int = 75
    learning_rate: float = 0.1
    leaves: int = 8
    leaf_size: int = 40
    l2: float = 5.0
    seed: int = 7


def prior_tables(inputs: list[Input], won: np.ndarray, weights: np.ndarray) -> Tables:
    """The share won and nothing else: what can be learned where outcomes or inputs do not differ."""
    tables = empty_tables(inputs)
    wins, total = float(weights @ won), float(weights.sum())
    tables.intercept = float(np.log((wins + 0.5) / (total - wins + 0.5)))
    return tables


def fit_boosted_tables(
    inputs: list[Input], codes: np.ndarray, won: np.ndarray, weights: np.ndarray, settings: Boosting
) -> Tables:
    """The booster fitted on the inputs that differ among these leads, as tables over all inputs.

    An input that is empty or constant in this part of the leads says nothing here, and scikit-learn refuses
    a column without any value.
    """
    varying = np.flatnonzero((codes != codes[:1]).any(axis=0)).tolist()
    if not varying or won.min() == won.max():
        return prior_tables(inputs, won, weights)
    chosen, chosen_codes = [inputs[i] for i in varying], codes[:, varying]
    booster = fit_booster(chosen, chosen_codes, won, weights, settings)
    compiled = compile_booster(booster, chosen, chosen_codes)
    tables = empty_tables(inputs)
    tables.intercept = compiled.intercept
    for i, table in zip(varying, compiled.one, strict=True):
        tables.one[i] = table
    tables.two = {(varying[i], varying[j]): matrix for (i, j), matrix in compiled.two.items()}
    return tables


def is_categorical(one: Input) -> bool:
    return one.kind == Kind.CATEGORY


def booster_matrix(inputs: list[Input], codes: np.ndarray) -> np.ndarray:
    """Codes as the booster takes them: float64, NaN for missing."""
    matrix = codes.astype(np.float64)
    for j, one in enumerate(inputs):
        matrix[codes[:, j] == one.missing, j] = np.nan
    return matrix


def fit_booster(
    inputs: list[Input], codes: np.ndarray, won: np.ndarray, weights: np.ndarray, settings: Boosting
) -> Any:
    """The fitted scikit-learn classifier."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # heavy, and only training needs it

    model = HistGradientBoostingClassifier(
        max_iter=settings.trees,
        learning_rate=settings.learning_rate,
        max_leaf_nodes=settings.leaves,
        min_samples_leaf=max(5, min(settings.leaf_size, len(won) // 20)),
        l2_regularization=settings.l2,
        interaction_cst="pairwise" if len(inputs) > 1 else None,
        categorical_features=[is_categorical(one) for one in inputs],
        early_stopping=False,
        random_state=settings.seed,
    )
    return model.fit(booster_matrix(inputs, codes), won, sample_weight=weights)


def compile_booster(booster: Any, inputs: list[Input], codes: np.ndarray) -> Tables:
    """The booster's trees as tables: equal to its `decision_function` on every lead it was trained on."""
    tables = empty_tables(inputs)
    add_trees(booster, _columns(inputs, codes), tables)
    return tables


class TreeColumn(Protocol):
    """One column as the trees see it: which input it is, or which pair of inputs, and the value that each of
    its bins (or of its cells, row by row) has; NaN for missing."""

    @property
    def index(self) -> int | Pair: ...

    @property
    def values(self) -> np.ndarray: ...


def add_trees(booster: Any, columns: Sequence[TreeColumn], tables: Tables) -> None:
    """Add a fitted booster to tables. A column that is a pair must interact with no other."""
    tables.intercept += float(np.ravel(booster._baseline_prediction)[0])
    for (tree,) in booster._predictors:
        _TreeWalk(tree, columns, tables).run()


@dataclass(frozen=True)
class _Column:
    index: int
    values: np.ndarray


def _columns(inputs: list[Input], codes: np.ndarray) -> Sequence[TreeColumn]:
    """scikit-learn puts categorical columns first and numbers the categories it met from 0."""
    order = sorted(range(len(inputs)), key=lambda i: not is_categorical(inputs[i]))
    return [_Column(i, _values(inputs[i], codes[:, i])) for i in order]


def _values(one: Input, codes: np.ndarray) -> np.ndarray:
    values = np.arange(one.size, dtype=np.float64)
    if is_categorical(one):
        met = np.unique(codes[codes != one.missing])
        values = np.full(one.size, np.nan)
        values[met] = np.arange(len(met))
    values[one.missing] = np.nan
    return values


class _TreeWalk:
    """Adds one tree's leaves to the tables."""

    def __init__(self, tree: Any, columns: Sequence[TreeColumn], tables: Tables) -> None:
        self.tree, self.nodes = tree, tree.nodes
        self.columns, self.tables = columns, tables

    def run(self) -> None:
        self._visit(0, {})

    def _visit(self, at: int, masks: dict[int | Pair, np.ndarray]) -> None:
        node = self.nodes[at]
        if node["is_leaf"]:
            self._add(float(node["value"]), masks)
            return
        column = self.columns[node["feature_idx"]]
        left = self._goes_left(node, column.values)
        seen = masks.get(column.index, True)
        self._visit(int(node["left"]), masks | {column.index: left & seen})
        self._visit(int(node["right"]), masks | {column.index: ~left & seen})

    def _goes_left(self, node: Any, values: np.ndarray) -> np.ndarray:
        """For each bin, whether the node sends it left."""
        missing = np.isnan(values)
        if node["is_categorical"]:
            bits = self.tree.raw_left_cat_bitsets[node["bitset_idx"]]
            known = np.where(missing, 0, values).astype(np.int64)
            left = (bits[known // 32] >> (known % 32)) & 1 == 1
        else:
            left = np.where(missing, 0, values) <= node["num_threshold"]
        return np.where(missing, bool(node["missing_go_to_left"]), left)

    def _add(self, value: float, masks: dict[int | Pair, np.ndarray]) -> None:
        if not masks:
            self.tables.intercept += value
            return
        if len(masks) == 1:
            ((index, mask),) = masks.items()
            if isinstance(index, tuple):
                matrix = self._matrix(index)
                matrix += value * mask.reshape(matrix.shape)
            else:
                self.tables.one[index] += value * mask
            return
        low, high = sorted(index for index in masks if not isinstance(index, tuple))
        matrix = self._matrix((low, high))
        matrix += value * np.outer(masks[low], masks[high])

    def _matrix(self, pair: Pair) -> np.ndarray:
        found = self.tables.two.get(pair)
        if found is None:
            shape = tuple(self.tables.one[i].size for i in pair)
            found = self.tables.two[pair] = np.zeros(shape)
        return found


def centred(tables: Tables, codes: np.ndarray, weights: np.ndarray) -> Tables:
    """The same model with every table's mean over the training leads at zero, pairs purified of main effects.

    Functional ANOVA by alternating means over the joint distribution (Lengerich and others 2020). A bin that
    training never met is set to the mean, zero: it says nothing.
    """
    one = [table.copy() for table in tables.one]
    two = {}
    for pair, matrix in sorted(tables.two.items()):
        two[pair] = _purified(pair, matrix, codes, weights, one)
    intercept = tables.intercept
    for i, table in enumerate(one):
        counts = np.bincount(codes[:, i], weights=weights, minlength=table.size)
        mean = float(counts @ table / counts.sum())
        intercept += mean
        one[i] = np.where(counts > 0, table - mean, 0.0)
    return Tables(intercept, one, two)


def _purified(
    pair: Pair, matrix: np.ndarray, codes: np.ndarray, weights: np.ndarray, one: list[np.ndarray]
) -> np.ndarray:
    i, j = pair
    flat = codes[:, i].astype(np.intp) * matrix.shape[1] + codes[:, j]
    joint = np.bincount(flat, weights=weights, minlength=matrix.size).reshape(matrix.shape)
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    pure = matrix.copy()
    for _ in range(50):
        by_row = np.divide((joint * pure).sum(axis=1), rows, out=np.zeros_like(rows), where=rows > 0)
        pure -= by_row[:, None]
        one[i] += by_row
        by_column = np.divide(
            (joint * pure).sum(axis=0), columns, out=np.zeros_like(columns), where=columns > 0
        )
        pure -= by_column
        one[j] += by_column
        if max(np.abs(by_row).max(), np.abs(by_column).max()) < 1e-7:
            break
    pure[rows == 0] = 0.0
    pure[:, columns == 0] = 0.0
    return pure
