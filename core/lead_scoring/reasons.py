"""Points in words: "Source: referral +12"."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext, gettext_noop

from core.labels import label
from core.lead_scoring.inputs import MISSING, OTHER, Input
from core.lead_scoring.model import Model
from core.lead_scoring.rules import NOT_KNOWN
from core.lead_scoring.scorer import CAP, Scorer

CAP_LABEL = gettext_noop("Limit of the scale")

NONE_KNOWN, ANOTHER = gettext_noop("none of the known"), gettext_noop("another")
_BOUNDS = {
    "at least ": gettext_noop("at least %(number)s"),
    "at most ": gettext_noop("at most %(number)s"),
}


def reasons(
    scorer: Scorer, points: Sequence[int], codes: Sequence[int], labels: dict[str, str]
) -> list[dict[str, Any]]:
    """Factors with their points, the weightiest first; those without points are left out.

    `importance` is a factor's share of all points, 0 to 1. The points and the base add up to the score.
    """
    said = _words(scorer.model, codes)
    total = sum(abs(int(point)) for point in points) or 1
    found = [
        _reason(name, int(point), said.get(name, ""), labels.get(name, name), total)
        for name, point in zip(scorer.factors, points, strict=True)
        if point
    ]
    return sorted(found, key=lambda one: (-abs(one["points"]), one["factor"]))


def _reason(name: str, points: int, value: str, label: str, total: int) -> dict[str, Any]:
    text = f"{label}: {value} {points:+d}" if value else f"{label} {points:+d}"
    return {
        "factor": name,
        "importance": round(abs(points) / total, 4),
        "points": points,
        "label": label,
        "value": value,
        "text": text,
    }


def reason_in_words(reason: Mapping[str, Any]) -> str:
    """A reason as its reader's language has it."""
    value, said = value_in_words(reason["value"]), label(reason["label"])
    return f"{said}: {value} {reason['points']:+d}" if value else f"{said} {reason['points']:+d}"


def value_in_words(text: str) -> str:
    """What a lead is by its rules or bins, in English as they say it, as its reader's language has it."""
    return ", ".join(gettext(" or ").join(map(_one_said, part.split(" or "))) for part in text.split(", "))


def _one_said(text: str) -> str:
    for begin, wording in _BOUNDS.items():
        if text.startswith(begin):
            return gettext(wording) % {"number": text.removeprefix(begin)}
    return label(text)


def labels_of(model: Model) -> dict[str, str]:
    """How factors are called: as the model's inputs say, then as the rules do."""
    made = {CAP: CAP_LABEL}
    for rule in model.rules.rules:
        made.setdefault(rule.feature, rule.feature.replace("_", " ").replace(".", " ").capitalize())
    return made | {one.feature: one.label for one in model.inputs}


def _words(model: Model, codes: Sequence[int]) -> dict[str, str]:
    """What each feature was, from its inputs' bins, or else from the rules that held.

    A multiple choice names the values it has.
    """
    bins, rules = codes[: len(model.inputs)], codes[len(model.inputs) :]
    return model.rules.words(rules) | _input_words(model.inputs, bins)


def _input_words(inputs: Sequence[Input], codes: Sequence[int]) -> dict[str, str]:
    made: dict[str, str] = {}
    several: dict[str, list[str]] = {}
    for one, code in zip(inputs, codes, strict=True):
        if one.member:
            several.setdefault(one.feature, []).extend([one.member] if code == 1 else [])
        else:
            made[one.feature] = _word(one, int(code))
    return made | {name: ", ".join(values) or NONE_KNOWN for name, values in several.items()}


def _word(one: Input, code: int) -> str:
    word = one.words(code)
    return NOT_KNOWN if word == MISSING else ANOTHER if word == OTHER else word
