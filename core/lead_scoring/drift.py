"""Whether the leads of now are still those the model learned from, and its probabilities still true."""

from typing import Any

import numpy as np

from core.lead_scoring.features import Frame
from core.lead_scoring.inputs import encode_all
from core.lead_scoring.metrics import ece, log_loss
from core.lead_scoring.model import Model
from core.lead_scoring.reference import shares, stability

# The usual reading of the index: 0.1 some change, 0.25 another population.
WARNING = 0.25
CALIBRATION_WARNING = 0.1
LEAST = 100


def input_drift(model: Model, frame: Frame) -> list[dict[str, Any]]:
    """The population stability index of every input, the largest first; empty below LEAST leads."""
    known = model.about.get("reference", [])
    if frame.n < LEAST or len(known) != len(model.inputs):
        return []
    codes = encode_all(model.inputs, frame)
    found = [
        {
            "feature": one.feature,
            "value": one.member,
            "psi": stability(known[i], shares(codes[:, i], one.size)),
        }
        for i, one in enumerate(model.inputs)
    ]
    return sorted(found, key=lambda one: -one["psi"])


def score_drift(before: np.ndarray, after: np.ndarray) -> float | None:
    """The stability index of scores in tens; None below LEAST on either side."""
    if min(len(before), len(after)) < LEAST:
        return None
    edges = np.arange(0, 101, 10)
    old, new = (np.histogram(scores, edges)[0] / len(scores) for scores in (before, after))
    return stability(old, new)


def calibration_drift(won: np.ndarray, probability: np.ndarray) -> dict[str, Any]:
    """How probabilities given earlier compare with outcomes as they arrived."""
    if len(won) < LEAST:
        return {"n": len(won)}
    return {
        "n": len(won),
        "predicted": float(probability.mean()),
        "observed": float(won.mean()),
        "ece": ece(won, probability),
        "log_loss": log_loss(won, probability),
    }


def warnings(inputs: list[dict[str, Any]], scores: float | None, calibration: dict[str, Any]) -> list[str]:
    """The findings in sentences, for people."""
    found = [
        f"{one['feature']} is distributed differently from the leads the model learned from "
        f"(stability index {one['psi']:.2f})"
        for one in inputs
        if one["psi"] > WARNING
    ]
    if scores is not None and scores > WARNING:
        found.append(f"scores are distributed differently (stability index {scores:.2f})")
    if calibration.get("ece", 0.0) > CALIBRATION_WARNING:
        found.append(
            f"of the newest closed leads {calibration['observed']:.0%} were won, "
            f"{calibration['predicted']:.0%} were predicted"
        )
    return found
