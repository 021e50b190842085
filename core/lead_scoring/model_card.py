"""The model card: how good a model is on leads it never saw, and what it goes by."""

from typing import Any

import numpy as np

from core.lead_scoring.features import Frame, Kind
from core.lead_scoring.metrics import all_metrics, log_loss, reliability
from core.lead_scoring.model import Model
from core.lead_scoring.scorer import Scorer

BANDS = ((0, 30), (31, 50), (51, 70), (71, 100))
SEGMENT_LEVELS = 8
SEED = 7


def card(model: Model, frame: Frame, won: np.ndarray, incumbent: Model) -> dict[str, Any]:
    """Everything measured on held-out leads; `incumbent` is what the model was compared with."""
    scorer = Scorer(model)
    scored = scorer.score(frame)
    return {
        "held_out": {"leads": frame.n, "wins": int(won.sum())},
        "metrics": all_metrics(won, scored.probability),
        "incumbent_metrics": all_metrics(won, Scorer(incumbent).probabilities(frame)),
        "reliability": reliability(won, scored.probability),
        "lift": lift_curve(won, scored.probability),
        "bands": bands(won, scored.score),
        "importance": importance(scorer, frame, won),
        "segments": segments(frame, won, scored.probability),
    }


def lift_curve(won: np.ndarray, scores: np.ndarray) -> list[dict[str, float]]:
    """Of the best tenth, two tenths …: which share of all wins they hold."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(won[order])
    total = float(won.sum()) or 1.0
    parts = [(k / 10, max(1, round(len(won) * k / 10))) for k in range(1, 11)]
    return [{"share": share, "wins": float(hits[n - 1] / total)} for share, n in parts] if len(won) else []


def bands(won: np.ndarray, scores: np.ndarray) -> list[dict[str, Any]]:
    """Share won by band of scores."""
    found = []
    for low, high in BANDS:
        inside = (scores >= low) & (scores <= high)
        rate = float(won[inside].mean()) if inside.any() else None
        found.append({"from": low, "to": high, "leads": int(inside.sum()), "won": rate})
    return found


def importance(scorer: Scorer, frame: Frame, won: np.ndarray) -> list[dict[str, Any]]:
    """By feature: how much log loss rises when its values are shuffled, and its mean absolute points."""
    random = np.random.default_rng(SEED)
    scored = scorer.score(frame)
    before = log_loss(won, scored.probability)
    found = []
    for i, name in enumerate(scorer.factors):
        values = frame.column(name)
        if values is None:
            continue
        shuffled = Frame(frame.specs, {**frame.columns, name: random.permutation(values)}, frame.n)
        rise = log_loss(won, scorer.probabilities(shuffled)) - before
        found.append({"factor": name, "log_loss": rise, "points": float(np.abs(scored.shares[:, i]).mean())})
    return sorted(found, key=lambda one: -one["log_loss"])


def segments(frame: Frame, won: np.ndarray, probability: np.ndarray) -> list[dict[str, Any]]:
    """Predicted and observed share won for the commonest values of every category."""
    found = []
    for spec in frame.specs:
        if spec.kind == Kind.CATEGORY:
            found.extend(_of_category(spec.key, frame.columns[spec.key], won, probability))
    return found


def _of_category(
    key: str, values: np.ndarray, won: np.ndarray, probability: np.ndarray
) -> list[dict[str, Any]]:
    texts = np.array([value or "" for value in values])
    names, counts = np.unique(texts, return_counts=True)
    common = names[np.argsort(-counts, kind="stable")][:SEGMENT_LEVELS]
    return [
        {
            "feature": key,
            "value": str(name),
            "leads": int((texts == name).sum()),
            "predicted": float(probability[texts == name].mean()),
            "observed": float(won[texts == name].mean()),
        }
        for name in common
    ]
