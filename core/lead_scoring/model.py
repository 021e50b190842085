"""The model as an artefact: one- and two-way tables over inputs, JSON, scored with NumPy alone.

log-odds of a lead = intercept + sum of its cells in the tables + rule_weight * centred rule points / 25.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from core.errors import InvalidError
from core.lead_scoring.inputs import Input, input_from_json
from core.lead_scoring.rules import RuleSet, rules_from_json

FORMAT = 1
MAX_CELLS = 2_000_000


class DamagedModelError(ValueError):
    """The artefact is no model of ours, or was changed since it was made."""


class NewerFormatError(DamagedModelError):
    """The artefact was written by a later release."""


@dataclass(frozen=True)
class Model:
    """Compiled tables and the rules beside them.

    `one[i]` has a value for each bin of input i; `two[(i, j)]` is a matrix over the bins of i and j, i < j.
    All are centred over the training leads, in log-odds. `rule_share` is how much of the weight is rules'.
    """

    inputs: tuple[Input, ...]
    one: tuple[np.ndarray, ...]
    two: Mapping[tuple[int, int], np.ndarray]
    intercept: float
    rules: RuleSet
    rule_weight: float
    # Mean points of each feature of the rules over the training leads.
    rule_means: tuple[float, ...]
    rule_share: float
    learned: bool
    # What training knew: outcomes, window, metrics, dropped features, reference distributions, versions.
    about: Mapping[str, Any] = field(default_factory=dict)

    def under(self, rules: RuleSet, means: Sequence[float]) -> "Model":
        """The same model with other rules and their mean points; what a typical lead has stays as it was."""
        return replace(self, rules=rules, rule_means=tuple(means))

    @property
    def base_score(self) -> int:
        """What a lead's points start from: a typical lead's score, or the base of the rules."""
        return 50 if self.learned else self.rules.base

    def to_json(self) -> dict[str, Any]:
        """The artefact with its hash."""
        body = {
            "format": FORMAT,
            "inputs": [one.to_json() for one in self.inputs],
            "one": [table.tolist() for table in self.one],
            "two": [{"inputs": list(pair), "table": self.two[pair].tolist()} for pair in sorted(self.two)],
            "intercept": self.intercept,
            "rules": self.rules.to_json(),
            "rule_weight": self.rule_weight,
            "rule_means": list(self.rule_means),
            "rule_share": self.rule_share,
            "learned": self.learned,
            "about": self.about,
        }
        return body | {"hash": content_hash(body)}


def content_hash(body: Mapping[str, Any]) -> str:
    """SHA-256 of the artefact's canonical text, its own hash aside."""
    content = {key: value for key, value in body.items() if key != "hash"}
    # PostgreSQL's jsonb keeps 50.0 and 50 apart but gives integers for some floats; both read the same here.
    text = json.dumps(_canonical(content), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _canonical(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(one) for one in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def model_from_json(raw: Any) -> Model:
    """The inverse of `to_json`. Raises DamagedModelError, or NewerFormatError for a later release's."""
    if not isinstance(raw, Mapping) or not isinstance(raw.get("format"), int):
        raise DamagedModelError("this is no scoring model")
    if raw["format"] > FORMAT:
        raise NewerFormatError(f"the model has format {raw['format']}, this release reads up to {FORMAT}")
    if content_hash(raw) != raw.get("hash"):
        raise DamagedModelError("the model's content does not match its hash")
    try:
        model = _read(raw)
        _check(model)
    except (KeyError, TypeError, ValueError, IndexError, InvalidError, OverflowError) as error:
        raise DamagedModelError(f"the model cannot be read: {error}") from error
    return model


def _read(raw: Mapping[str, Any]) -> Model:
    return Model(
        inputs=tuple(input_from_json(one) for one in raw["inputs"]),
        one=tuple(np.array(table, dtype=np.float64) for table in raw["one"]),
        two={
            (int(pair["inputs"][0]), int(pair["inputs"][1])): np.array(pair["table"], dtype=np.float64)
            for pair in raw["two"]
        },
        intercept=float(raw["intercept"]),
        rules=rules_from_json(raw["rules"]),
        rule_weight=float(raw["rule_weight"]),
        rule_means=tuple(float(mean) for mean in raw["rule_means"]),
        rule_share=float(raw["rule_share"]),
        learned=bool(raw["learned"]),
        about=dict(raw["about"]),
    )


def _check(model: Model) -> None:
    """Tables of the right shapes with finite numbers. Raises ValueError."""
    if len(model.one) != len(model.inputs) or len(model.rule_means) != len(model.rules.features()):
        raise ValueError("tables do not match their inputs")
    sizes = [one.size for one in model.inputs]
    shapes_fit = all(table.shape == (size,) for table, size in zip(model.one, sizes, strict=True))
    for (i, j), table in model.two.items():
        shapes_fit = shapes_fit and 0 <= i < j < len(sizes) and table.shape == (sizes[i], sizes[j])
    if not shapes_fit:
        raise ValueError("tables do not have the sizes of their inputs")
    tables = [*model.one, *model.two.values()]
    if sum(table.size for table in tables) > MAX_CELLS:
        raise ValueError("too many cells")
    numbers = np.array([model.intercept, model.rule_weight, model.rule_share, *model.rule_means])
    if not all(np.isfinite(table).all() for table in [*tables, numbers]):
        raise ValueError("numbers that are not finite")


def rules_only(rules: RuleSet, intercept: float, weight: float, about: Mapping[str, Any]) -> Model:
    """A model that is the rules, with the log-odds they stand for."""
    return Model(
        inputs=(),
        one=(),
        two={},
        intercept=intercept,
        rules=rules,
        rule_weight=weight,
        rule_means=(0.0,) * len(rules.features()),
        rule_share=1.0,
        learned=False,
        about=about,
    )
