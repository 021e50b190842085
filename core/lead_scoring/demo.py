"""Demo data: a model trained on the demo's closed records, and every open one scored by it."""

from collections.abc import Callable

from django.db import transaction

from core.demo.parts import Demo
from core.lead_scoring import model_lifecycle
from core.lead_scoring.rescoring import rescore
from core.lead_scoring.scoring_target import target_of


def scores_of(entity: str) -> Callable[[Demo], str]:
    """The part of the demo that trains and scores an entity; with few records the rules score, if any."""

    def add_scores(demo: Demo) -> str:
        target = target_of(entity)
        model_lifecycle.retrain_model(target)
        with transaction.atomic():
            ids, _, by = rescore(target, target.rows, always=True)
        if not by.scores:
            return f"no model scores {target.definition.plural} yet"
        scorer = f"model {by.origin.model_id}" if by.model.learned else "the rules"
        return f"{len(ids)} {target.definition.plural} scored by {scorer}"

    return add_scores
