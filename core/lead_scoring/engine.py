"""Scoring with the active model, or with the rules while there is none."""

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db import connection

from core.lead_scoring.default_entity import DEFAULT_ENTITY
from core.lead_scoring.feature_reader import FeatureReader, reader_of
from core.lead_scoring.model import DamagedModelError, Model, model_from_json, rules_only
from core.lead_scoring.models import ScoringModel
from core.lead_scoring.reasons import labels_of, reasons
from core.lead_scoring.rule_store import rules_of, under_rules
from core.lead_scoring.scorer import Scored, Scorer
from core.lead_scoring.scoring_target import ScoringTarget, target_of
from core.lead_scoring.storing import ScoreOrigin

log = logging.getLogger(__name__)
# Log-odds of a lead at the rules' base before there are outcomes: one in five is won.
FIRST_INTERCEPT = -1.3862943611198906


@dataclass(frozen=True)
class Loaded:
    """A model ready to score, what it came from, and why the active model could not be used, if so."""

    target: ScoringTarget
    scorer: Scorer
    origin: ScoreOrigin
    warning: str = ""

    @property
    def model(self) -> Model:
        return self.scorer.model

    @property
    def scores(self) -> bool:
        """Whether there is anything to score by: a model, or rules that score without one."""
        return self.model.learned or self.target.has_rules

    @cached_property
    def reader(self) -> FeatureReader:
        return reader_of(self.target, self.model)

    @cached_property
    def labels(self) -> dict[str, str]:
        named = {f.spec.key: f.spec.label for f in self.reader.features}
        return labels_of(self.model) | named

    def reasons(self, points: Any, codes: Any) -> list[dict[str, Any]]:
        return reasons(self.scorer, points, codes, self.labels)


Key = tuple[int | None, str, int | None]
_cached: dict[str, tuple[Key, Loaded]] = {}


def current(target: ScoringTarget | None = None) -> Loaded:
    """What scores now (leads, where no target is named). Each process keeps it until another model or rule
    set is active: one query says so.

    A damaged, foreign or newer model means the rules, with a warning.
    """
    about = target or target_of()
    key, cached = _key(about), _cached.get(about.entity)
    if cached is None or cached[0] != key:
        cached = _cached[about.entity] = (key, _load(about, key[0], key[2]))
    return cached[1]


_ACTIVE = """
SELECT m.id, coalesce(m.hash, ''), (SELECT max(id) FROM core_scoringrules WHERE %s)
FROM (SELECT 1) AS one LEFT JOIN core_scoringmodel m ON m.status = 'active' AND m.entity = %s
"""


def _key(target: ScoringTarget) -> Key:
    """(active model, its hash, newest rule set), in one query."""
    with connection.cursor() as cursor:
        cursor.execute(_ACTIVE, [target.has_rules, target.entity])
        return cursor.fetchone()


def _load(target: ScoringTarget, model_id: int | None, rules_id: int | None) -> Loaded:
    if model_id is None:
        return ruled(target, rules_id)
    row: Any = ScoringModel.objects.filter(pk=model_id).values("artefact", "hash").first() or {}
    try:
        model = under_rules(target, read_artefact(row), rules_id)
        return Loaded(target, Scorer(model), ScoreOrigin(model_id, rules_id))
    except DamagedModelError as error:
        log.error("scoring model %s cannot be used, the rules score: %s", model_id, error)
        return ruled(target, rules_id, f"Scored by rules: model {model_id} cannot be used ({error}).")


def read_artefact(row: Any) -> Model:
    """The model of a row with `artefact` and `hash`. Raises DamagedModelError."""
    artefact = row.get("artefact")
    model = model_from_json(artefact)
    if artefact.get("hash") != row.get("hash"):
        raise DamagedModelError("the artefact is not the one that was stored")
    return model


def ruled(target: ScoringTarget, rules_id: int | None, warning: str = "") -> Loaded:
    """The rules alone, with the log-odds the newest training gave them."""
    model = rules_only(rules_of(target, rules_id), FIRST_INTERCEPT, 1.0, {})
    return Loaded(target, Scorer(model), ScoreOrigin(None, rules_id), warning)


def loaded(target: ScoringTarget, origin: ScoreOrigin) -> Loaded:
    """What scored earlier, to put its reasons into words; the same fall-back as `current`."""
    now = current(target)
    if now.origin == origin:
        return now
    return _load(target, origin.model_id, origin.rules_id)


class LeadScoringEngine:
    """`LeadScoringEngine().score_lead(lead)` → (score, factors). Stores nothing. `entity` names another
    target than leads."""

    def __init__(self, entity: str = DEFAULT_ENTITY) -> None:
        self.target = target_of(entity)

    def score_lead(self, lead: Any) -> tuple[int, list[dict[str, Any]]]:
        """The lead's score as its fields are now, saved or not, and its reasons."""
        found = self.explain(lead)
        return found["score"], found["factors"]

    def explain(self, lead: Any) -> dict[str, Any]:
        """Score, probability, base, reasons, and how much of it is rule and how much model."""
        by = current(self.target)
        return answer(by, by.scorer.score(by.reader.instance(lead)))

    def score_values(self, values: dict[str, Any]) -> tuple[int, float]:
        """(score, probability) of a lead about to be made of these values by table column."""
        by = current(self.target)
        scored = by.scorer.score(by.reader.values(values))
        return int(scored.score[0]), round(float(scored.probability[0]), 6)


def answer(by: Loaded, scored: Scored, i: int = 0) -> dict[str, Any]:
    """One lead's result as the API gives it."""
    return {
        "score": int(scored.score[i]),
        "probability": round(float(scored.probability[i]), 6),
        "factors": by.reasons(scored.points[i].tolist(), scored.codes[i].tolist()),
    } | provenance(by)


def provenance(by: Loaded) -> dict[str, Any]:
    """What stands behind every score: base, versions and shares of model and rules, warnings."""
    return {
        "base": by.model.base_score,
        "model_version": by.origin.model_id,
        "rules_version": by.origin.rules_id,
        "rule_share": round(by.model.rule_share, 4),
        "model_share": round(1 - by.model.rule_share, 4),
        "warning": by.warning,
    }
