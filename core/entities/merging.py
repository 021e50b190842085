"""How several records of an entity become one: what the entity declares about its columns.

Without a declaration a column has the survivor's value, or the first one that is filled; lists are united,
custom fields are taken key by key.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Combine = Callable[[Sequence[Any]], Any]


def is_filled(value: Any) -> bool:
    """Whether a field has a value: 0 and False are values."""
    return value is not None and value != "" and value != []


def any_of(values: Sequence[Any]) -> bool:
    """Whether one of them is true: who opted out once stays so."""
    return any(values)


def total(values: Sequence[Any]) -> Any:
    return sum(value or 0 for value in values)


def latest(values: Sequence[Any]) -> Any:
    return max((value for value in values if value is not None), default=None)


@dataclass(frozen=True)
class TakenTogether:
    """Columns that come from one record: an amount with its currency, an address. Unless somebody chooses, it
    is the first record in which one of `decided_by` is filled."""

    names: tuple[str, ...]
    decided_by: tuple[str, ...]


@dataclass(frozen=True)
class Merging:
    """What is special about an entity's columns when its records are merged.

    `combined` columns are made of the values of all records and cannot be chosen. `kept_in` names the list
    that keeps those values of a column that the survivor does not get.
    """

    combined: Mapping[str, Combine] = field(default_factory=dict)
    together: tuple[TakenTogether, ...] = ()
    kept_in: Mapping[str, str] = field(default_factory=dict)
