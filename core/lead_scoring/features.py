"""What scoring looks at: features with a kind, and many leads' values of them as arrays."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from core.labels import label

# What the keys of custom fields begin with, as in core.entities.entity, which needs Django's models.
CUSTOM_PREFIX = "custom_fields."
# A text longer than this is a note and not a category.
MAX_LEVEL_LENGTH = 80


class Kind(StrEnum):
    """How a feature's values are read; dates arrive as days between them and the moment of scoring."""

    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    CATEGORY = "category"
    MULTI = "multi"


@dataclass(frozen=True)
class FeatureSpec:
    """A feature by its key, as people read it, and its kind."""

    key: str
    label: str
    kind: Kind

    @property
    def title(self) -> str:
        """What its reader calls it; a custom field as whoever defined it says."""
        return self.label if self.key.startswith(CUSTOM_PREFIX) else label(self.label)


@dataclass(frozen=True)
class Frame:
    """`n` leads by column. Numbers, booleans and dates are float64 with NaN for missing; categories are
    objects, str or None; multiple choices are objects, tuple of str or None."""

    specs: tuple[FeatureSpec, ...]
    columns: Mapping[str, np.ndarray]
    n: int

    def take(self, rows: np.ndarray) -> "Frame":
        """Some of the rows, by index or mask."""
        columns = {key: values[rows] for key, values in self.columns.items()}
        return Frame(
            self.specs, columns, len(next(iter(columns.values()))) if columns else int(np.size(rows))
        )

    def without(self, keys: Iterable[str]) -> "Frame":
        """All but the named features."""
        out = set(keys)
        kept = tuple(spec for spec in self.specs if spec.key not in out)
        return Frame(kept, {spec.key: self.columns[spec.key] for spec in kept}, self.n)

    def column(self, key: str) -> np.ndarray | None:
        return self.columns.get(key)


def frame_of(specs: Iterable[FeatureSpec], raw: Mapping[str, Iterable[Any]], n: int) -> Frame:
    """A frame of raw Python values; a feature that has no values is missing for every lead.

    Whatever does not fit its kind (a text where a number belongs, an infinity) is missing, not an error.
    """
    specs = tuple(specs)
    empty = [None] * n
    return Frame(specs, {s.key: values_of(s.kind, raw.get(s.key, empty)) for s in specs}, n)


def values_of(kind: Kind, raw: Iterable[Any]) -> np.ndarray:
    """Raw values of one feature as the array its kind calls for."""
    if kind == Kind.CATEGORY:
        return _objects([level(value) for value in raw])
    if kind == Kind.MULTI:
        return _objects([members(value) for value in raw])
    return _numbers(raw)


def _numbers(raw: Iterable[Any]) -> np.ndarray:
    listed = raw if isinstance(raw, np.ndarray) else list(raw)
    try:
        values = np.asarray(listed, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        values = np.empty(0)
    if values.shape != (len(listed),):
        values = np.array([number(value) for value in listed], dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def number(value: Any) -> float:
    """A finite number, or NaN."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")
    return found if abs(found) < float("inf") else float("nan")


def level(value: Any) -> str | None:
    """A category's value: trimmed, case-blind; None for blanks."""
    if value is None or value != value:
        return None
    return str(value).strip().casefold()[:MAX_LEVEL_LENGTH] or None


def members(value: Any) -> tuple[str, ...] | None:
    """The distinct values of a multiple choice; None for none."""
    if not isinstance(value, list | tuple | set | frozenset):
        return None
    found = dict.fromkeys(filter(None, map(level, value)))
    return tuple(found) or None


def _objects(values: list[Any]) -> np.ndarray:
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made
