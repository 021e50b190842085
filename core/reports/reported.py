"""What may be reported of an entity, declared by its app: outcomes, amounts, dates, steps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Q

from core.entities import Entity, entities
from core.registry import Registry

OPEN, WON, LOST = "open", "won", "lost"


@dataclass(frozen=True)
class ReportStep:
    """A step on the way to an outcome: a status, a stage. `outcome` is that of whoever is in it."""

    key: str
    label: str
    outcome: str = OPEN


# The steps, in their order; of one scope (a pipeline) where an entity has several ways.
Steps = Callable[[int | None], Sequence[ReportStep]]


@dataclass(frozen=True)
class StepScope:
    """A reference column that says which of several ways of steps a record goes, and its parameter."""

    parameter: str
    column: str
    default: Callable[[], int | None]


@dataclass(frozen=True)
class Past:
    """The columns by which open amounts of the past are known. `status_column` holds one of `open_values`
    while a record is open and of `won_values` once it is won; `due_column` is the date it is expected to
    close at; `probability_column` in percent."""

    status_column: str
    open_values: tuple[str, ...]
    won_values: tuple[str, ...]
    due_column: str
    probability_column: str


@dataclass(frozen=True)
class ForecastColumns:
    """Which open records are committed or hoped for, which are left out, and the day on which each is closed
    or expected to be, as an expression."""

    commit: Q
    best_case: Q
    omitted: Q
    day: Any


@dataclass(frozen=True)
class ReportedEntity:
    """What reports know of an entity."""

    entity: str
    won: Q
    lost: Q
    # The date of a record's outcome where `zone` is, as an expression.
    closed_on: Callable[[ZoneInfo], Any]
    # The column of a record's worth, beside `currency`.
    amount: str
    # The column whose values are the steps.
    step_column: str
    steps: Steps
    source_column: str
    # Why a record was lost: a column, or an expression.
    reason: Any
    scope: StepScope | None = None
    past: Past | None = None
    forecast: ForecastColumns | None = None
    # Whether reports are about this one where nobody says.
    is_default: bool = False

    @property
    def definition(self) -> Entity:
        return entities[self.entity]

    @property
    def parameters(self) -> tuple[str, ...]:
        """Query parameters of its own."""
        return (self.scope.parameter,) if self.scope else ()


reported_entities: Registry[ReportedEntity] = Registry("reported entity")


def default_entity() -> str:
    """The entity that reports are about where nobody says."""
    return next(one.entity for one in reported_entities if one.is_default)


def with_past() -> list[str]:
    """The entities whose open amounts of the past are known."""
    return [one.entity for one in reported_entities if one.past]


def with_forecast() -> list[str]:
    """The entities of which something is expected."""
    return [one.entity for one in reported_entities if one.forecast]
