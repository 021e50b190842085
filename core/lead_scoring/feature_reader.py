"""Features of stored records as frames: as they are now, or as they were."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from django.utils import timezone

from core.conf import conf
from core.lead_scoring.features import Frame, frame_of
from core.lead_scoring.model import Model
from core.lead_scoring.models import BarredFeature
from core.lead_scoring.rules import RuleSet
from core.lead_scoring.scoring_target import Batch, Feature, ScoringTarget, days


class FeatureReader:
    """Reads some features of a scoring target; only their columns are fetched."""

    def __init__(self, target: ScoringTarget, chosen: Iterable[Feature]) -> None:
        self.target = target
        self.features = list(chosen)
        self.columns = tuple(dict.fromkeys(name for f in self.features for name in f.columns))

    def stored(self, ids: Sequence[int]) -> tuple[list[int], Frame]:
        """The records of `ids` that exist, in order of id, as they are now: one query beside the features'
        own."""
        rows = self.target.model.objects.filter(pk__in=ids).order_by("pk").values_list("pk", *self.columns)
        return self.rows(list(rows))

    def rows(self, rows: list[tuple[Any, ...]]) -> tuple[list[int], Frame]:
        """The same for rows of (id, *columns) that were read already."""
        if not rows:
            return [], frame_of([f.spec for f in self.features], {}, 0)
        ids, *columns = (list(values) for values in zip(*rows, strict=True))
        return ids, self.frame(Batch(ids, _now(len(ids)), dict(zip(self.columns, columns, strict=True))))

    def instance(self, record: Any) -> Frame:
        """One record that may not be stored yet."""
        return self.frame(Batch([record.pk], _now(1), {c: [getattr(record, c)] for c in self.columns}))

    def values(self, values: Mapping[str, Any]) -> Frame:
        """A record about to be made of these values by table column."""
        model = self.target.model
        absent = {
            c: model._meta.get_field(_field(model, c)).get_default() for c in self.columns if c not in values
        }
        columns = {c: [values.get(c, absent.get(c))] for c in self.columns}
        return self.frame(Batch([None], _now(1), columns))

    def frame(self, batch: Batch) -> Frame:
        raw = {f.spec.key: f.read(batch) for f in self.features}
        return frame_of([f.spec for f in self.features], raw, len(batch.ids))


def _field(model: Any, column: str) -> str:
    return next(f.name for f in model._meta.concrete_fields if f.attname == column)


def _now(n: int) -> np.ndarray:
    return np.full(n, days(timezone.now()))


def reader_of(target: ScoringTarget, model: Model) -> FeatureReader:
    """What reads all that a model looks at. A feature that is gone is missing for every lead."""
    wanted = {one.feature: (one.kind, one.label) for one in model.inputs}
    found = [target.feature_of(key, kind, label) for key, (kind, label) in wanted.items()]
    found += ruled_features(target, model.rules, known=set(wanted))
    return FeatureReader(target, (f for f in found if f))


def ruled_features(target: ScoringTarget, rules: RuleSet, known: set[str]) -> list[Feature]:
    """The features of the rules that are not `known`; custom ones only are asked from the database."""
    wanted = [key for key in rules.features() if key not in known]
    if all(key in target.features for key in wanted):
        return [target.features[key] for key in wanted]
    there = target.all_features()
    return [there[key] for key in wanted if key in there]


def training_reader(target: ScoringTarget) -> FeatureReader:
    """What reads every feature that may be learned from."""
    rows = BarredFeature.objects.filter(entity=target.entity)
    barred = {*conf.SCORING_EXCLUDED_FEATURES, *rows.values_list("feature", flat=True)}
    return FeatureReader(target, (f for key, f in target.all_features().items() if key not in barred))
