"""Demo data: a model trained on the demo's closed leads, and every lead scored by it."""

from django.db import transaction

from core.demo.parts import Demo
from core.lead_scoring import model_lifecycle
from core.lead_scoring.rescoring import rescore
from core.lead_scoring.scoring_target import target


def add_scores(demo: Demo) -> str:
    """Train and score; with few leads the rules score."""
    model_lifecycle.retrain_model()
    with transaction.atomic():
        ids, _, by = rescore(target().model.objects.filter(archived_at=None), always=True)
    scorer = f"model {by.origin.model_id}" if by.model.learned else "the rules"
    return f"{len(ids)} leads scored by {scorer}"
