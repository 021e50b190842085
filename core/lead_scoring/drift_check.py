"""Watching the active model: are the leads still those it knows, do its probabilities still come true?"""

from typing import Any

import numpy as np
from django.core.cache import cache
from django.utils import timezone

from core.lead_scoring import notices
from core.lead_scoring.drift import calibration_drift, input_drift, score_drift, warnings
from core.lead_scoring.engine import current
from core.lead_scoring.models import ScoringModel
from core.lead_scoring.scoring_target import ScoringTarget, scoring_targets, target_of

RECENT = 2_000
TYPE = "scoring_drift"
# How long the number of warnings of the last check is kept: longer than from check to check.
KEPT_S = 3 * 24 * 3600
_KEY = "scoring_warnings:"


def report(target: ScoringTarget | None = None) -> dict[str, Any]:
    """Drift of inputs and scores over the newest leads, of calibration over the newest closed ones."""
    about = target or target_of()
    by = current(about)
    newest = about.rows.order_by("-pk").values_list("pk", flat=True)[:RECENT]
    ids, frame = by.reader.stored(list(newest))
    inputs = input_drift(by.model, frame)
    scores = score_drift(_scores_before(about, ids), by.scorer.score(frame).score if ids else np.zeros(0))
    calibration = calibration_drift(*_outcomes(about, by.origin.model_id))
    found = warnings(inputs, scores, calibration) if by.model.learned else []
    return {
        "model_version": by.origin.model_id,
        "leads": frame.n,
        "inputs": inputs,
        "scores": scores,
        "calibration": calibration,
        "warnings": found,
    }


def _scores_before(target: ScoringTarget, newest: list[int]) -> np.ndarray:
    older = target.score_model.objects.exclude(pk__in=newest).order_by("-pk")
    return np.array(list(older.values_list("score", flat=True)[:RECENT]))


def _outcomes(target: ScoringTarget, model_id: int | None) -> tuple[np.ndarray, np.ndarray]:
    """(won, the probability they were last given) of leads closed since the model went live."""
    row = None if model_id is None else ScoringModel.objects.filter(pk=model_id).first()
    if row is None or row.activated_at is None:
        return np.zeros(0), np.zeros(0)
    closed = target.closed.filter(created_at__gt=row.activated_at)
    won = set(closed.filter(target.won).values_list("pk", flat=True))
    given = target.score_model.objects.filter(pk__in=closed.values("pk"), model_id=model_id)
    pairs = list(given.order_by("-pk").values_list("pk", "probability")[:RECENT])
    return np.array([float(pk in won) for pk, _ in pairs]), np.array([p for _, p in pairs])


def watch(target: ScoringTarget | None = None) -> list[str]:
    """Tell administrators what has drifted, once a month and model at most; returns the warnings."""
    about = target or target_of()
    found = report(about)
    cache.set(f"{_KEY}{about.definition.name}", len(found["warnings"]), KEPT_S)
    if found["warnings"]:
        key = f"{found['model_version']}:{timezone.now():%Y-%m}"
        notices.send(
            TYPE, key, f"Scores of {about.definition.plural} may no longer hold", "\n".join(found["warnings"])
        )
    return found["warnings"]


def last_warnings() -> dict[str, int]:
    """Entity → how many warnings its last check gave; those that were not checked lately are left out."""
    keys = {f"{_KEY}{name}": name for name, _ in scoring_targets.items()}
    return {keys[key]: count for key, count in cache.get_many(keys).items()}
