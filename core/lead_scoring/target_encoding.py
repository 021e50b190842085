"""Members that see a category by how often it was won before: ordered target encoding, compiled to tables.

Each lead's category (or pair of categories) is replaced by the win rate of the earlier leads that share it,
so that no lead sees its own outcome; a booster learns step functions of these rates. Afterwards every level
has one rate, that of all leads, so the booster becomes the same one- and two-way tables as any other member.
(Prokhorenkova and others 2018 for the ordered statistics.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from core.lead_scoring.boosting import Pair, Tables, add_trees, empty_tables, prior_tables
from core.lead_scoring.features import Kind
from core.lead_scoring.inputs import Input, cut

# More cells than leads divided by this hold too few leads each to say anything.
LEADS_A_CELL = 4
MAX_PAIRS = 45
ENCODED_BINS = 32


@dataclass(frozen=True)
class Encoding:
    """Settings of an encoded member. `smoothing` is how many leads' worth of the average rate each cell
    starts from; `paired` boosts pairs of single encodings instead of encodings of pairs."""

    trees: int = 80
    learning_rate: float = 0.1
    leaves: int = 6
    leaf_size: int = 20
    l2: float = 5.0
    smoothing: float = 10.0
    paired: bool = False
    seed: int = 7


@dataclass(frozen=True)
class EncodedColumn:
    """One column of the booster: an input by number, or a pair of them; `values` has what each cell is
    encoded as once all leads are known, and `ordered` what each training lead was given."""

    index: int | Pair
    values: np.ndarray
    ordered: np.ndarray


def fit_encoded_tables(
    inputs: list[Input],
    codes: np.ndarray,
    won: np.ndarray,
    weights: np.ndarray,
    groups: np.ndarray,
    settings: Encoding,
) -> Tables:
    """The member fitted on leads in time order. Rows of one group (snapshots of one lead) are apart."""
    columns = encoded_columns(inputs, codes, won, weights, groups, settings)
    if not columns or won.min() == won.max():
        return prior_tables(inputs, won, weights)
    tables = empty_tables(inputs)
    add_trees(encoded_booster(columns, won, weights, settings), columns, tables)
    return tables


def encoded_booster(
    columns: Sequence[EncodedColumn], won: np.ndarray, weights: np.ndarray, settings: Encoding
) -> Any:
    """The scikit-learn classifier fitted on the ordered rates."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # heavy, and only training needs it

    booster = HistGradientBoostingClassifier(
        max_iter=settings.trees,
        learning_rate=settings.learning_rate,
        max_leaf_nodes=settings.leaves,
        min_samples_leaf=max(5, min(settings.leaf_size, len(won) // 20)),
        l2_regularization=settings.l2,
        interaction_cst="pairwise" if settings.paired and len(columns) > 1 else "no_interactions",
        early_stopping=False,
        random_state=settings.seed,
    )
    return booster.fit(np.column_stack([one.ordered for one in columns]), won, sample_weight=weights)


def encoded_columns(
    inputs: list[Input],
    codes: np.ndarray,
    won: np.ndarray,
    weights: np.ndarray,
    groups: np.ndarray,
    settings: Encoding,
) -> list[EncodedColumn]:
    """Numbers by their bins, categories and pairs of categories by their rates; constant ones left out."""
    varying = [i for i in range(len(inputs)) if (codes[:, i] != codes[0, i]).any()]
    categories = [i for i in varying if inputs[i].kind == Kind.CATEGORY]
    found = [_plain(inputs[i], i, codes[:, i]) for i in varying if i not in categories]
    found += [_rated(i, codes[:, i], inputs[i].size, won, weights, groups, settings) for i in categories]
    if not settings.paired:
        for i, j in _pairs(inputs, codes, categories):
            cells, size = paired_codes(codes, (i, j), inputs)
            found.append(_rated((i, j), cells, size, won, weights, groups, settings))
    return [one for one in found if not np.isnan(one.ordered).all()]


def _pairs(inputs: list[Input], codes: np.ndarray, categories: Sequence[int]) -> list[Pair]:
    """The pairs of categories whose cells hold enough leads, those with fewer cells first."""
    met = {i: len(np.unique(codes[:, i])) for i in categories}
    pairs = sorted(combinations(categories, 2), key=lambda pair: (met[pair[0]] * met[pair[1]], pair))
    return [(i, j) for i, j in pairs if met[i] * met[j] <= len(codes) / LEADS_A_CELL][:MAX_PAIRS]


def paired_codes(codes: np.ndarray, pair: Pair, inputs: list[Input]) -> tuple[np.ndarray, int]:
    """(number of each lead's cell in the two-way table, cells)."""
    i, j = pair
    width = inputs[j].size
    return codes[:, i].astype(np.int64) * width + codes[:, j], inputs[i].size * width


def _plain(one: Input, index: int, codes: np.ndarray) -> EncodedColumn:
    values = np.arange(one.size, dtype=np.float64)
    values[one.missing] = np.nan
    return EncodedColumn(index, values, values[codes])


def _rated(
    index: int | Pair,
    cells: np.ndarray,
    size: int,
    won: np.ndarray,
    weights: np.ndarray,
    groups: np.ndarray,
    settings: Encoding,
) -> EncodedColumn:
    average = float(weights @ won / weights.sum())
    ordered = ordered_rates(cells, won, weights, groups, average, settings.smoothing)
    wins = np.bincount(cells, weights=weights * won, minlength=size) + settings.smoothing * average
    counts = np.bincount(cells, weights=weights, minlength=size) + settings.smoothing
    # As few distinct values as other inputs have bins: the booster sorts them for every column.
    edges = cut(ordered, ENCODED_BINS)
    return EncodedColumn(
        index,
        np.searchsorted(edges, wins / counts).astype(np.float64),
        np.searchsorted(edges, ordered).astype(np.float64),
    )


def ordered_rates(
    cells: np.ndarray,
    won: np.ndarray,
    weights: np.ndarray,
    groups: np.ndarray,
    average: float,
    smoothing: float,
) -> np.ndarray:
    """For each lead the smoothed win rate of the leads before it in its cell, its own group not counted."""
    order = np.lexsort((np.arange(len(cells)), groups, cells))
    cell, group = cells[order], groups[order]
    counts, wins = weights[order], (weights * won)[order]
    # Sums before the first row of the same cell and group, less those before the first row of the cell.
    starts = np.r_[True, (cell[1:] != cell[:-1])]
    fresh = starts | np.r_[True, group[1:] != group[:-1]]
    found = []
    for part in (counts, wins):
        before = np.cumsum(part) - part
        found.append(_held(before, fresh) - _held(before, starts))
    rates = np.empty(len(cells))
    rates[order] = (found[1] + smoothing * average) / (found[0] + smoothing)
    return rates


def _held(values: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """Each value replaced by the last one at which `fresh` was true."""
    return values[np.maximum.accumulate(np.where(fresh, np.arange(len(values)), 0))]
