"""What is scored, and where its features come from: registered by the app whose records they are.

A scoring target is one entity with an outcome: leads, and deals. Each has features, models, jobs and scores
of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from django.db.models import Q

from core.entities import Entity, entities
from core.entities.models import CustomField
from core.lead_scoring.default_entity import DEFAULT_ENTITY
from core.lead_scoring.features import FeatureSpec, Frame, Kind
from core.lead_scoring.rules import RuleSet
from core.registry import Registry

# Values of one column for many records, in their order.
Values = Sequence[Any]
SECONDS_A_DAY = 86_400.0


@dataclass(frozen=True)
class Batch:
    """Records about to be scored, or to be learned from: ids, the moments they are looked at (days since
    1970), and values by table column. An id is None for a record that is not stored yet."""

    ids: Sequence[int | None]
    moments: np.ndarray
    columns: Mapping[str, Values]
    # Whether the moments are past ones: what is read beside the columns must be as it was then.
    historic: bool = False
    # What several features read together, once.
    memo: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class Feature:
    """A feature and the table columns it is made of. `read` gives a raw value for each record of a batch."""

    spec: FeatureSpec
    columns: tuple[str, ...]
    read: Callable[[Batch], Sequence[Any] | np.ndarray]


Read = Callable[[Batch], Any]
LANDMARKS = (0, 7, 30)


@dataclass(frozen=True)
class ScoringTarget:
    """An entity that is scored: which records are won, which lost, and the column that decided it.

    `score_model` holds scores with their reasons, `pending_model` the ids that wait to be scored; both have
    the record's id as their primary key. `score_column` and `probability_column` of the record itself hold
    the same for lists, beside `scored_at`.
    """

    entity: str
    won: Q
    lost: Q
    outcome_column: str
    score_model: Any
    pending_model: Any
    score_column: str
    probability_column: str
    default_rules: RuleSet
    # When a won record was closed, where a column says so; else the change table does.
    closed_column: str = ""
    # Days after its creation at which training looks at a closed record, as long as it was still open.
    landmarks: tuple[int, ...] = LANDMARKS
    # Values of the outcome column of a record that is open. Where they are given, training passes over what
    # was closed from the start, which features that follow the outcome would give away.
    open_values: frozenset[str] = frozenset()
    # Which records are scored, besides that they are not archived.
    scored: Q = field(default_factory=Q)
    # Whether the rules score while there is no model, and may be edited.
    has_rules: bool = True
    # What is measured beside the model card: of the frame in time order, outcomes, row weights, which record
    # each row is about, and rules.
    backtest: Callable[[Frame, np.ndarray, np.ndarray, np.ndarray, RuleSet], dict[str, Any]] | None = None
    features: Registry[Feature] = field(default_factory=lambda: Registry("scoring feature"))

    @property
    def model(self) -> Any:
        return self.definition.model

    @property
    def definition(self) -> Entity:
        return entities[self.entity]

    @property
    def table(self) -> str:
        return self.model._meta.db_table

    @property
    def scores_table(self) -> str:
        return self.score_model._meta.db_table

    @property
    def pending_table(self) -> str:
        return self.pending_model._meta.db_table

    @property
    def key(self) -> str:
        """The column of the record's id in the tables of scores and of what waits."""
        return self.score_model._meta.pk.column

    @property
    def closed(self) -> Any:
        """The closed records."""
        return self.model.objects.filter(self.won | self.lost)

    @property
    def rows(self) -> Any:
        """The records that are scored."""
        return self.model.objects.filter(self.scored, archived_at=None)

    def feature(self, key: str, label: str, kind: Kind, *columns: str) -> Callable[[Read], Read]:
        """Register the decorated function as what reads a feature from these table columns."""

        def register(read: Read) -> Read:
            self.features.register(key, Feature(FeatureSpec(key, label, kind), columns, read))
            return read

        return register

    def plain(self, key: str, label: str, kind: Kind, column: str = "") -> Feature:
        """Register a feature that is a column's own value."""
        name = column or key
        feature = Feature(FeatureSpec(key, label, kind), (name,), lambda b: b.columns[name])
        return self.features.register(key, feature)

    def custom_features(self) -> list[Feature]:
        """The features of all custom fields that may be learned from: one query."""
        fields = CustomField.objects.filter(entity=self.entity, scorable=True, type__in=_KINDS)
        return [custom_feature(f.key, f.label, _KINDS[CustomField.Type(f.type)]) for f in fields]

    def all_features(self) -> dict[str, Feature]:
        """Every feature by key, custom ones too."""
        return {f.spec.key: f for f in [*self.features, *self.custom_features()]}

    def feature_of(self, key: str, kind: Kind, label: str) -> Feature | None:
        """The feature a model's input was made of; None when it is no longer registered."""
        if key.startswith(PREFIX):
            return custom_feature(key.removeprefix(PREFIX), label, kind)
        return self.features.get(key)


scoring_targets: Registry[ScoringTarget] = Registry("scored entity")


def target_of(entity: str = DEFAULT_ENTITY) -> ScoringTarget:
    """The scoring target of an entity. Raises UnknownKeyError."""
    return scoring_targets[entity]


PREFIX = "custom_fields."
_KINDS = {
    CustomField.Type.NUMBER: Kind.NUMBER,
    CustomField.Type.MONEY: Kind.NUMBER,
    CustomField.Type.BOOLEAN: Kind.BOOLEAN,
    CustomField.Type.CHOICE: Kind.CATEGORY,
    CustomField.Type.MULTI_CHOICE: Kind.MULTI,
    CustomField.Type.DATE: Kind.DATE,
}


def custom_feature(key: str, label: str, kind: Kind) -> Feature:
    """The feature of a custom field, by its own key."""

    def read(batch: Batch) -> Sequence[Any]:
        found = [(values or {}).get(key) for values in batch.columns["custom_fields"]]
        return days_until(found, batch.moments) if kind == Kind.DATE else found  # type: ignore[return-value]

    return Feature(FeatureSpec(PREFIX + key, label, kind), ("custom_fields",), read)


def days(moment: Any) -> float:
    """A date or moment, or its ISO text, as days since 1970 in UTC; NaN for anything else."""
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return float("nan")
    if isinstance(moment, datetime):
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return aware.timestamp() / SECONDS_A_DAY
    return float(moment.toordinal() - 719_163) if hasattr(moment, "toordinal") else float("nan")


def days_since(values: Values, moments: np.ndarray) -> np.ndarray:
    """Days from each value to the moment; NaN where it is later or not known."""
    found = moments - np.array([days(value) for value in values], dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return np.where(found >= -1e-6, np.maximum(found, 0), np.nan)


def days_until(values: Values, moments: np.ndarray) -> np.ndarray:
    """Days from the moment to each value, negative for what is past."""
    return np.array([days(value) for value in values], dtype=np.float64) - moments
