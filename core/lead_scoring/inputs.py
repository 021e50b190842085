"""Inputs of a model: each feature cut into bins, so that everything after is a look-up in a table.

A number has bins between edges, a category one bin for each known level and one for all others; every input
has a last bin for missing values. What training never saw has a bin too.
"""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from core.lead_scoring.features import FeatureSpec, Frame, Kind

MAX_BINS = 48
MAX_LEVELS = 40
MAX_MEMBERS = 15
# A level, or a choice of several, wants this many leads before it gets a bin of its own.
MIN_COUNT = 10
# A category most of whose values are all different is a name or an identifier.
NAME_LIKE = 0.5
OTHER, MISSING = "other", "missing"


@dataclass(frozen=True)
class Input:
    """One input: a feature, or whether a multiple choice has one value (`member`)."""

    feature: str
    label: str
    kind: Kind
    edges: tuple[float, ...] = ()
    levels: tuple[str, ...] = ()
    member: str = ""

    @property
    def size(self) -> int:
        """Bins, that for missing values included."""
        return len(self.edges) + 2 if self.is_number else len(self.levels) + 2

    @property
    def missing(self) -> int:
        """The code of the bin for missing values."""
        return self.size - 1

    @property
    def is_number(self) -> bool:
        return self.kind in (Kind.NUMBER, Kind.DATE)

    @cached_property
    def _codes(self) -> dict[Any, int]:
        return {name: code for code, name in enumerate(self.levels)} | {None: self.missing}

    def encode(self, values: np.ndarray) -> np.ndarray:
        """The bin of each value: int16, shape as `values`."""
        if self.kind == Kind.MULTI:
            found = [value is not None and self.member in value for value in values]
            return np.array(found, dtype=np.int16)
        if self.kind == Kind.CATEGORY:
            other, codes = self.missing - 1, self._codes
            return np.array([codes.get(value, other) for value in values], dtype=np.int16)
        return self._encode_numbers(values)

    def _encode_numbers(self, values: np.ndarray) -> np.ndarray:
        blank = np.isnan(values)
        if self.kind == Kind.BOOLEAN:
            codes = np.where(blank, 0, values != 0).astype(np.int16)
        else:
            codes = np.searchsorted(self.edges, values, side="left").astype(np.int16)
        codes[blank] = self.missing
        return codes

    def words(self, code: int) -> str:
        """A bin in words: "referral", "10 to 25", "missing"."""
        if code == self.missing:
            return MISSING
        if not self.is_number:
            return self.levels[code] if code < len(self.levels) else OTHER
        low = self.edges[code - 1] if code > 0 else None
        high = self.edges[code] if code < len(self.edges) else None
        return _range(low, high)

    def to_json(self) -> dict[str, Any]:
        made: dict[str, Any] = {"feature": self.feature, "label": self.label, "kind": self.kind.value}
        made |= {"edges": list(self.edges)} if self.is_number else {"levels": list(self.levels)}
        return made | ({"member": self.member} if self.member else {})


def _range(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return "any"
    if low is None:
        return f"up to {short(high)}"
    return f"above {short(low)}" if high is None else f"{short(low)} to {short(high)}"


def short(value: float | None) -> str:
    """A number for people, four digits of it: "0.25", "1,200"."""
    return f"{value:,.4g}" if abs(value or 0) < 10_000 else f"{value:,.0f}"


def input_from_json(raw: dict[str, Any]) -> Input:
    """The inverse of `to_json`. Raises KeyError, TypeError or ValueError for what is no input."""
    return Input(
        feature=str(raw["feature"]),
        label=str(raw["label"]),
        kind=Kind(raw["kind"]),
        edges=tuple(float(edge) for edge in raw.get("edges", ())),
        levels=tuple(str(name) for name in raw.get("levels", ())),
        member=str(raw.get("member", "")),
    )


def learn_inputs(frame: Frame, bins: int = MAX_BINS) -> tuple[list[Input], dict[str, str]]:
    """The inputs of a training frame, numbers cut into `bins`, and why features without any have none."""
    inputs: list[Input] = []
    dropped: dict[str, str] = {}
    for spec in frame.specs:
        found, reason = _learn(spec, frame.columns[spec.key], bins)
        inputs.extend(found)
        if reason:
            dropped[spec.key] = reason
    return inputs, dropped


def _learn(spec: FeatureSpec, values: np.ndarray, bins: int) -> tuple[list[Input], str]:
    is_number = spec.kind in (Kind.NUMBER, Kind.DATE)
    found, reason = _number(spec, values, bins) if is_number else _LEARN[spec.kind](spec, values)
    kept = [one for one in found if _varies(one, values)]
    return kept, reason or ("" if kept else "the same for every lead")


def _varies(one: Input, values: np.ndarray) -> bool:
    codes = one.encode(values)
    return bool(len(codes)) and bool((codes != codes[0]).any())


def _number(spec: FeatureSpec, values: np.ndarray, bins: int) -> tuple[list[Input], str]:
    known = values[~np.isnan(values)]
    if not len(known):
        return [], "never filled"
    return [Input(spec.key, spec.label, spec.kind, edges=tuple(cut(known, bins)))], ""


def cut(known: np.ndarray, bins: int = MAX_BINS) -> list[float]:
    """Edges between at most `bins` bins: between all distinct values where they are few, else quantiles."""
    distinct = np.unique(known)
    if len(distinct) <= bins:
        middles = distinct[:-1] + np.diff(distinct) / 2
        return [float(edge) for edge in np.unique(middles) if np.isfinite(edge)]
    quantiles = np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1], method="lower")
    return [float(edge) for edge in np.unique(quantiles)]


def _boolean(spec: FeatureSpec, values: np.ndarray) -> tuple[list[Input], str]:
    return [Input(spec.key, spec.label, spec.kind, levels=("no", "yes"))], ""


def _category(spec: FeatureSpec, values: np.ndarray) -> tuple[list[Input], str]:
    counts = Counter(value for value in values if value is not None)
    total = counts.total()
    if not total:
        return [], "never filled"
    common = [name for name, count in counts.most_common(MAX_LEVELS) if count >= _enough(len(values))]
    if len(counts) > MAX_LEVELS and len(counts) > total * NAME_LIKE:
        return [], "nearly every value is different"
    return [Input(spec.key, spec.label, spec.kind, levels=tuple(sorted(common)))], ""


def _enough(n: int) -> int:
    return min(MIN_COUNT, max(2, n // 50))


def _multi(spec: FeatureSpec, values: np.ndarray) -> tuple[list[Input], str]:
    counts = Counter(name for value in values if value for name in value)
    common = [name for name, count in counts.most_common(MAX_MEMBERS) if count >= _enough(len(values))]
    if not common:
        return [], "never filled" if not counts else "too few alike"
    return [
        Input(spec.key, spec.label, spec.kind, levels=("no", "yes"), member=name) for name in sorted(common)
    ], ""


_LEARN = {
    Kind.BOOLEAN: _boolean,
    Kind.CATEGORY: _category,
    Kind.MULTI: _multi,
}


def encode_all(inputs: list[Input] | tuple[Input, ...], frame: Frame) -> np.ndarray:
    """Codes of all inputs: int16, shape (n, inputs), each input's column contiguous.

    A feature the frame does not have is missing for every lead.
    """
    codes = np.empty((frame.n, len(inputs)), dtype=np.int16, order="F")
    for j, one in enumerate(inputs):
        values = frame.column(one.feature)
        codes[:, j] = one.missing if values is None else one.encode(values)
    return codes
