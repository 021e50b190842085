"""One lead's score and its reasons, for a user who asks: made now, or as they were stored."""

from typing import Any

from core.access import Action
from core.changes import acting_as
from core.errors import ForbiddenError, NotVisibleError
from core.lead_scoring import engine
from core.lead_scoring.scorer import Scored
from core.lead_scoring.storing import WORTH_TELLING, store
from core.lead_scoring.subject import subject
from core.models import LeadScore


def score_one(lead: int, user: Any) -> dict[str, Any]:
    """Score a lead the user may change, and store the score if it moved.

    Raises NotVisibleError, or ForbiddenError for one they only see.
    """
    by, about = engine.current(), subject().definition
    rows = about.model.objects.filter(pk=lead, archived_at=None)
    known = ("lead_score", "conversion_probability", "scored_at")
    found = rows.filter(about.model.policy.scope(user, Action.CHANGE)).values_list(
        "pk", *by.reader.columns, *known
    )
    row = found.first()
    if row is None:
        seen = rows.filter(about.model.policy.scope(user, Action.VIEW)).exists()
        raise (
            ForbiddenError("You may see this lead but not score it.")
            if seen
            else NotVisibleError("Not found.")
        )
    ids, frame = by.reader.rows([row[: -len(known)]])
    scored = by.scorer.score(frame)
    if _moved(scored, *row[-len(known) :]):
        with acting_as(user, source="api"):
            store(ids, scored, by.origin, always=True)
    return {"success": True, "lead_id": lead} | engine.answer(by, scored)


def _moved(scored: Scored, score: int, probability: float | None, scored_at: Any) -> bool:
    if scored_at is None or probability is None or score != scored.score[0]:
        return True
    return abs(probability - float(scored.probability[0])) >= WORTH_TELLING


def stored_reasons(lead: int) -> dict[str, Any]:
    """A lead's score and reasons as they were stored; made now where there are none yet."""
    row = LeadScore.objects.filter(pk=lead).first()
    if row is not None:
        by = engine.loaded(engine.Origin(row.model_id, row.rules_id))
        if len(row.points) == len(by.scorer.factors) and len(row.codes) == len(by.model.inputs):
            made = {"score": row.score, "probability": row.probability, "scored_at": row.scored_at}
            return made | {"factors": by.reasons(row.points, row.codes)} | engine.provenance(by)
    by = engine.current()
    _, frame = by.reader.stored([lead])
    return engine.answer(by, by.scorer.score(frame))
