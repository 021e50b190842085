"""One lead's score and its reasons, for a user who asks: made now, or as they were stored."""

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext

from core.access import Permission, scopes
from core.changes import audit_context
from core.entities import Entity
from core.errors import ForbiddenError, NotVisibleError
from core.lead_scoring import engine
from core.lead_scoring.models import RecordScore
from core.lead_scoring.rescoring import rescore
from core.lead_scoring.scorer import Scored
from core.lead_scoring.scoring_target import ScoringTarget, target_of
from core.lead_scoring.storing import WORTH_RECORDING


def score_one(lead: int, user: Any) -> dict[str, Any]:
    """Score a lead the user may change, and store the score if it moved.

    Raises NotVisibleError, or ForbiddenError for one they only see.
    """
    target = target_of()
    by, about = engine.current(target), target.definition
    scopes.require(user, about.plural)
    rows = about.model.objects.filter(pk=lead, archived_at=None)
    known = ("lead_score", "conversion_probability", "scored_at")
    found = rows.filter(about.model.policy.scope(user, Permission.CHANGE))
    row = found.values_list("pk", *by.reader.columns, *known).first()
    if row is None:
        seen = rows.filter(about.model.policy.scope(user, Permission.VIEW)).exists()
        raise (
            ForbiddenError(gettext("You may see this lead but not score it."))
            if seen
            else NotVisibleError(gettext("Not found."))
        )
    _, frame = by.reader.rows([row[: -len(known)]])
    scored = by.scorer.score(frame)
    if _moved(scored, *row[-len(known) :]):
        with audit_context(user, source="api"):
            still, scored, by = rescore(target, found, always=True)
        if not still:
            raise NotVisibleError(gettext("Not found."))
    return {"success": True, "lead_id": lead} | shown_to(user, engine.answer(by, scored), target)


def _moved(scored: Scored, score: int, probability: float | None, scored_at: Any) -> bool:
    if scored_at is None or probability is None or score != scored.score[0]:
        return True
    return abs(probability - float(scored.probability[0])) >= WORTH_RECORDING


def shown_to(user: Any, answer: dict[str, Any], target: ScoringTarget) -> dict[str, Any]:
    """A score whose reasons do not say what fields hold that are hidden from the user."""
    entity = target.definition.for_user(user)
    return answer | {"factors": _shown_factors(answer["factors"], target, entity)}


def _shown_factors(factors: list[dict[str, Any]], target: ScoringTarget, entity: Entity) -> list[Any]:
    if not entity.hidden:
        return factors
    return [
        one | {"value": "", "text": f"{one['label']} {one['points']:+d}"}
        if _reads_hidden(one["factor"], target, entity)
        else one
        for one in factors
    ]


def _reads_hidden(key: str, target: ScoringTarget, entity: Entity) -> bool:
    feature = target.features.get(key)
    read = set(feature.columns) if feature is not None else set()
    return key in entity.hidden or not entity.hidden_paths.isdisjoint(read)


def stored_reasons(lead: int, target: ScoringTarget | None = None) -> dict[str, Any]:
    """The score of a lead (or of another target's record) and its reasons as they were stored; made now where
    there are none yet."""
    about = target or target_of()
    row = about.score_model.objects.filter(pk=lead).first()
    if row is not None:
        by = engine.loaded(about, engine.ScoreOrigin(row.model_id, row.rules_id))
        if _fits(by, row):
            made = {"score": row.score, "probability": row.probability, "scored_at": row.scored_at}
            return made | {"factors": by.reasons(row.points, row.codes)} | engine.provenance(by)
    by = engine.current(about)
    _, frame = by.reader.stored([lead])
    return engine.answer(by, by.scorer.score(frame))


def _fits(by: engine.Loaded, row: RecordScore) -> bool:
    """Whether the model that scored is still there as it was."""
    return len(row.points) == len(by.scorer.factors) and len(row.codes) == by.scorer.code_width


def reasons_in_words(leads: Sequence[int], user: Any, using: str) -> dict[int, str]:
    """By lead: "Source: referral +12; Company size: up to 9 -3; base 50", the points that make its score.

    As `stored_reasons`, for many at once.
    """
    target = target_of()
    seen = target.definition.for_user(user)
    loaded: dict[engine.ScoreOrigin, engine.Loaded] = {}
    described = {}
    for row in target.score_model.objects.using(using).filter(pk__in=leads):
        origin = engine.ScoreOrigin(row.model_id, row.rules_id)
        by = loaded.get(origin) or loaded.setdefault(origin, engine.loaded(target, origin))
        if _fits(by, row):
            described[row.pk] = _sentence(by, row.points, row.codes, target, seen)
    by = engine.current(target)
    ids, frame = by.reader.stored([pk for pk in leads if pk not in described])
    scored = by.scorer.score(frame)
    made = zip(ids, scored.points.tolist(), scored.codes.tolist(), strict=True)
    return described | {pk: _sentence(by, points, codes, target, seen) for pk, points, codes in made}


def _sentence(
    by: engine.Loaded, points: Sequence[int], codes: Sequence[int], target: ScoringTarget, seen: Entity
) -> str:
    factors = _shown_factors(by.reasons(points, codes), target, seen)
    return "; ".join([*(one["text"] for one in factors), f"base {by.model.base_score}"])
