"""The rule set: points for what is known of a lead, from a base. It scores from the first lead on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from core.errors import FieldIssue, InvalidError
from core.lead_scoring.features import FeatureSpec, Frame, Kind, level
from core.lead_scoring.inputs import short

# Points that multiply a lead's odds by e: at a score of 50 a slope of one score point for each point.
POINTS_PER_LOGIT = 25.0
TESTS = ("in", "filled", "is", "at_least", "at_most")
MAX_RULES = 200
MAX_POINTS = 100
LISTED = 3  # values of a rule that are said one by one
NOT_KNOWN = gettext_noop("not known")
_SAID = {"filled": (NOT_KNOWN, gettext_noop("known")), "is": ("no", "yes")}
_BITS = 15  # of a smallint that is never negative


@dataclass(frozen=True)
class Rule:
    """`points` for the leads whose `feature` passes `test` with `value`."""

    key: str
    feature: str
    test: str
    value: Any
    points: int
    label: str = ""

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Which of the feature's values pass. A missing value passes no test but "not filled"."""
        if self.test == "filled":
            return _filled(values) == bool(self.value)
        if self.test == "in":
            wanted = frozenset(self.value)
            return np.array([_one_of(value, wanted) for value in values], dtype=bool)
        return _compare(self.test, values, self.value)

    def words(self) -> str:
        """What a lead it holds for is: "referral", "known", "at least 5"; a long list goes by its label."""
        if self.test == "in":
            return self.label if self.label and len(self.value) > LISTED else " or ".join(self.value)
        if self.test in ("filled", "is"):
            return _SAID[self.test][bool(self.value)]
        return f"{self.test.replace('_', ' ')} {short(self.value)}"

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


def _filled(values: np.ndarray) -> np.ndarray:
    if values.dtype == object:
        return np.array([value is not None for value in values], dtype=bool)
    return ~np.isnan(values)


def _one_of(value: Any, wanted: frozenset[str]) -> bool:
    return not wanted.isdisjoint(value) if isinstance(value, tuple) else value in wanted


def _compare(test: str, values: np.ndarray, bound: Any) -> np.ndarray:
    if values.dtype == object:
        return np.zeros(len(values), dtype=bool)
    if test == "is":
        return (values != 0) & ~np.isnan(values) if bound else values == 0
    with np.errstate(invalid="ignore"):
        return values >= bound if test == "at_least" else values <= bound


@dataclass(frozen=True)
class RuleSet:
    """A base and rules; of the rules of one feature all that hold count."""

    base: int = 50
    rules: tuple[Rule, ...] = field(default_factory=tuple)

    def features(self) -> list[str]:
        """The features the rules look at, each once, in their order."""
        return list(dict.fromkeys(rule.feature for rule in self.rules))

    def held(self, frame: Frame) -> np.ndarray:
        """Which rules hold by lead: bool, shape (n, rules). None does of an absent feature."""
        found = np.zeros((frame.n, len(self.rules)), dtype=bool, order="F")
        for i, rule in enumerate(self.rules):
            values = frame.column(rule.feature)
            if values is not None:
                found[:, i] = rule.holds(values)
        return found

    def points(self, frame: Frame) -> np.ndarray:
        """Points by lead and feature: float64, shape (n, features)."""
        return self.points_of(self.held(frame))

    def points_of(self, held: np.ndarray) -> np.ndarray:
        """The same, of what `held` gave."""
        names = self.features()
        found = np.zeros((len(held), len(names)))
        for i, rule in enumerate(self.rules):
            found[:, names.index(rule.feature)] += rule.points * held[:, i]
        return found

    @property
    def code_width(self) -> int:
        """How many codes say which rules hold."""
        return -(-len(self.rules) // _BITS)

    def codes_of(self, held: np.ndarray) -> np.ndarray:
        """Which rules hold, a bit for each: int16, shape (n, code_width)."""
        codes = np.zeros((len(held), self.code_width), dtype=np.int16)
        for i in range(len(self.rules)):
            codes[:, i // _BITS] |= held[:, i].astype(np.int16) << (i % _BITS)
        return codes

    def words(self, codes: Sequence[int]) -> dict[str, str]:
        """By feature, what the rules that hold go by."""
        said: dict[str, list[str]] = {}
        for i, rule in enumerate(self.rules):
            if codes[i // _BITS] >> (i % _BITS) & 1:
                said.setdefault(rule.feature, []).append(rule.words())
        return {feature: ", ".join(words) for feature, words in said.items()}

    def score(self, frame: Frame) -> np.ndarray:
        """Scores from 0 to 100, int64."""
        total = self.base + self.points(frame).sum(axis=1)
        return np.clip(total, 0, 100).astype(np.int64)

    def to_json(self) -> dict[str, Any]:
        return {"base": self.base, "rules": [rule.to_json() for rule in self.rules]}


def parse_rules(raw: Any, specs: Mapping[str, FeatureSpec] | None = None) -> RuleSet:
    """A rule set from client input; `specs`, when given, are the features there are.

    Raises InvalidError naming everything that is wrong.
    """
    if not isinstance(raw, Mapping) or set(raw) - {"base", "rules"} or not isinstance(raw.get("rules"), list):
        raise InvalidError.of("rules", _('Expected {"base": 50, "rules": [...]}.'), "not_an_object")
    issues: list[FieldIssue] = []
    base = raw.get("base", 50)
    if not _is_whole(base) or not 0 <= base <= 100:
        issues.append(FieldIssue("base", "invalid", _("Expected a whole number from 0 to 100.")))
    if len(raw["rules"]) > MAX_RULES:
        issues.append(
            FieldIssue("rules", "max_length", _("At most %(max_rules)s rules.") % {"max_rules": MAX_RULES})
        )
    rules = [_rule(i, one, specs, issues) for i, one in enumerate(raw["rules"][:MAX_RULES])]
    _check_unique(rules, issues)
    if issues:
        raise InvalidError(issues)
    return RuleSet(base, tuple(rule for rule in rules if rule))


def _check_unique(rules: list[Rule | None], issues: list[FieldIssue]) -> None:
    keys = [rule.key for rule in rules if rule]
    for key in {key for key in keys if keys.count(key) > 1}:
        issues.append(FieldIssue("rules", "unique", _("The key %(key)s is used twice.") % {"key": repr(key)}))


def _rule(i: int, raw: Any, specs: Mapping[str, FeatureSpec] | None, issues: list[FieldIssue]) -> Rule | None:
    def wrong(name: str, message: Any) -> None:
        issues.append(FieldIssue(f"rules[{i}].{name}".rstrip("."), "invalid", message))

    if not isinstance(raw, Mapping) or set(raw) - set(Rule.__dataclass_fields__):
        wrong("", _("Expected an object with %(names)s.") % {"names": ", ".join(Rule.__dataclass_fields__)})
        return None
    before = len(issues)
    feature: Any = raw.get("feature")
    test: Any = raw.get("test")
    points: Any = raw.get("points")
    if not isinstance(feature, str) or (specs is not None and feature not in specs):
        known = ", ".join(sorted(specs or ()))
        wrong("feature", _("Unknown feature. Known: %(known)s.") % {"known": known})
    if not _is_whole(points) or abs(points) > MAX_POINTS:
        wrong(
            "points",
            _("Expected a whole number from -%(max_points)s to %(max_points)s.") % {"max_points": MAX_POINTS},
        )
    if test not in TESTS:
        wrong("test", _("Expected one of: %(names)s.") % {"names": ", ".join(TESTS)})
    elif (value := _operand(test, raw.get("value"))) is None:
        wrong("value", _OPERANDS[test])
    elif (spec := (specs or {}).get(str(feature))) and not _fits(test, spec.kind):
        wrong("test", _("A %(kind)s feature takes no %(test)s.") % {"kind": spec.kind, "test": repr(test)})
    if len(issues) > before:
        return None
    key = str(raw.get("key") or f"{feature}_{i}")[:80]
    return Rule(key, str(feature), test, value, points, str(raw.get("label") or "")[:120])


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _fits(test: str, kind: Kind) -> bool:
    by_kind = {
        Kind.CATEGORY: ("in", "filled"),
        Kind.MULTI: ("in", "filled"),
        Kind.BOOLEAN: ("is", "filled"),
    }
    return test in by_kind.get(kind, ("at_least", "at_most", "filled"))


_OPERANDS = {
    "in": gettext_lazy("Expected a list of texts."),
    "filled": gettext_lazy("Expected true or false."),
    "is": gettext_lazy("Expected true or false."),
    "at_least": gettext_lazy("Expected a number."),
    "at_most": gettext_lazy("Expected a number."),
}


def _operand(test: str, raw: Any) -> Any:
    """The value a test compares with; None where it is none."""
    if test == "in":
        listed = isinstance(raw, list | tuple) and raw and all(isinstance(v, str) and level(v) for v in raw)
        return [level(v) for v in raw] if listed else None
    if test in ("filled", "is"):
        return raw if isinstance(raw, bool) else None
    is_number = isinstance(raw, int | float) and not isinstance(raw, bool) and abs(raw) < float("inf")
    return raw if is_number else None


def rules_from_json(raw: Any) -> RuleSet:
    """A stored rule set. Raises InvalidError for a damaged one."""
    return parse_rules(json.loads(raw) if isinstance(raw, str) else raw)
