"""The form in which scoring rules are edited in the admin site, with what they would do to today's leads."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.formats import get_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core.admin import home
from core.entities.field_types import Choice
from core.errors import InvalidError, StaleVersionError
from core.lead_scoring.feature_reader import FeatureReader
from core.lead_scoring.features import FeatureSpec, Kind
from core.lead_scoring.rule_editing import replace_rules
from core.lead_scoring.rule_effect import RuleEffect, effect_of
from core.lead_scoring.rule_store import newest_rules, rules_of
from core.lead_scoring.rules import MAX_POINTS, MAX_RULES, RuleSet, parse_rules
from core.lead_scoring.scoring_target import Feature, target_of

# What a rule asks, in one drop-down: the words, and the test with its value where that is settled.
QUESTIONS: Mapping[str, tuple[Any, str, Any]] = {
    "in": (gettext_lazy("is one of"), "in", None),
    "yes": (gettext_lazy("is yes"), "is", True),
    "no": (gettext_lazy("is no"), "is", False),
    "at_least": (gettext_lazy("is at least"), "at_least", None),
    "at_most": (gettext_lazy("is at most"), "at_most", None),
    "known": (gettext_lazy("is known"), "filled", True),
    "unknown": (gettext_lazy("is not known"), "filled", False),
}
LISTS, NUMBERS = ("in",), ("at_least", "at_most")
OF_KIND = {
    Kind.CATEGORY: ("in", "known", "unknown"),
    Kind.MULTI: ("in", "known", "unknown"),
    Kind.BOOLEAN: ("yes", "no", "known", "unknown"),
}
OF_NUMBERS = ("at_least", "at_most", "known", "unknown")
# The values that a drop-down offers beside declared ones are those that the newest leads have.
LOOKED_AT, OFFERED = 2_000, 40
ISSUE = re.compile(r"rules\[(\d+)\]\.?(\w*)")


@dataclass
class RuleLine:
    """One rule as it was entered."""

    feature: str = ""
    question: str = ""
    value: str = ""
    points: str = ""
    label: str = ""
    key: str = ""
    faults: list[str] = field(default_factory=list)
    questions: list[tuple[str, Any]] = field(default_factory=list)
    offered: list[tuple[str, str]] = field(default_factory=list)

    @property
    def takes(self) -> str:
        """What is entered beside the question: lines, a number, or nothing."""
        return "lines" if self.question in LISTS else "number" if self.question in NUMBERS else ""

    @property
    def rows(self) -> int:
        return min(self.value.count("\n") + 1, 6)

    def to_json(self) -> dict[str, Any]:
        _words, test, settled = QUESTIONS[self.question]
        made = {"feature": self.feature, "test": test, "points": _whole(self.points), "label": self.label}
        value = settled if settled is not None else _entered(self.question, self.value)
        return made | {"value": value} | ({"key": self.key} if self.key else {})


def _entered(question: str, text: str) -> Any:
    """A list of texts, one to a line; or a number, and the text itself where it is none."""
    if question in LISTS:
        return [line.strip() for line in text.splitlines() if line.strip()]
    try:
        return float(_plain(text))
    except ValueError:
        return text


def _plain(text: str) -> str:
    """A number in the reader's writing as Python writes it. Raises ValueError where groups of three digits
    could be meant."""
    decimal, group = get_format("DECIMAL_SEPARATOR"), get_format("THOUSAND_SEPARATOR")
    between = r"\s" if group.isspace() else re.escape(group)
    if re.fullmatch(rf"[+-]?\d{{1,3}}({between}\d{{3}})+({re.escape(decimal)}\d+)?", text):
        text = re.sub(between, "", text)
    elif decimal != "." and re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+", text):
        raise ValueError(text)
    return text.replace(decimal, ".")


def _written(number: float) -> str:
    """A number in the reader's writing, exactly."""
    return str(number_format(int(number) if float(number).is_integer() else number))


def _shown(test: str, value: Any) -> str:
    """The value of a stored rule as it is entered."""
    if test == "in":
        return "\n".join(value)
    return _written(value) if test in NUMBERS else ""


def _whole(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        return text


class ScoringRulesForm:
    """The form as an answer to GET (the present rules) and to POST (drawn again, tried, or saved)."""

    def __init__(self, page: Any, request: HttpRequest) -> None:
        self.page, self.request, self.target = page, request, target_of()
        self.features: dict[str, Feature] = self.target.all_features()
        self.faults: list[str] = []
        self.lines: list[RuleLine] = []
        self.seen = self.base = ""
        self.effect: RuleEffect | None = None
        self.is_stale = False

    def answer(self) -> HttpResponse:
        if self.request.method != "POST":
            version = newest_rules(self.target)
            self._read_stored(rules_of(self.target, version), version)
            return self._drawn()
        self._read_sent()
        do = self.request.POST.get("do", "")
        if do == "add" and len(self.lines) < MAX_RULES:
            self.lines.append(RuleLine())
        elif do.startswith("remove.") and do.removeprefix("remove.").isdecimal():
            place = int(do.removeprefix("remove."))
            self.lines = [line for i, line in enumerate(self.lines) if i != place]
        elif do in ("effect", "save") and (rules := self._parsed()) is not None:
            if do == "effect":
                self.effect = effect_of(rules, self.request.user)
            elif (saved := self._saved(rules)) is not None:
                return saved
        return self._drawn()

    def _read_stored(self, rules: RuleSet, version: int | None) -> None:
        self.seen, self.base = str(version or ""), str(rules.base)
        self.lines = [
            RuleLine(
                rule.feature,
                _question(rule.test, rule.value),
                _shown(rule.test, rule.value),
                str(rule.points),
                rule.label,
                rule.key,
            )
            for rule in rules.rules
        ]

    def _read_sent(self) -> None:
        sent = self.request.POST
        self.seen, self.base = sent.get("seen", ""), sent.get("base", "")
        self.lines = [self._line(name) for name in sent.getlist("line")[:MAX_RULES]]

    def _line(self, name: str) -> RuleLine:
        parts = ("feature", "question", "value", "points", "label", "key")
        line = RuleLine(**{part: self.request.POST.get(f"{name}.{part}", "").strip() for part in parts})  # type: ignore[arg-type]
        # Another feature may take other questions than the one before.
        possible = self._questions(line.feature)
        if line.question not in possible:
            line.question = possible[0] if possible else ""
            if possible and self.request.POST.get("do") in ("effect", "save"):
                line.faults.append(_("Choose the condition."))
        more = self.request.POST.get(f"{name}.more", "")
        if more and line.question in LISTS and more not in line.value.splitlines():
            line.value = f"{line.value}\n{more}".strip()
        return line

    def _questions(self, feature: str) -> tuple[str, ...]:
        found = self.features.get(feature)
        return OF_KIND.get(found.spec.kind, OF_NUMBERS) if found else ()

    def _parsed(self) -> RuleSet | None:
        """The rules that were entered; None where something is wrong, which is said at its line."""
        if any(line.faults for line in self.lines):
            return None
        specs: dict[str, FeatureSpec] = {key: one.spec for key, one in self.features.items()}
        blank = [line for line in self.lines if not line.feature]
        for line in blank:
            line.faults.append(_("Choose what the rule looks at, or remove it."))
        lines = [line for line in self.lines if line.feature in self.features]
        for line in self.lines:
            if line not in lines and line not in blank:
                line.faults.append(
                    _("This field is no longer there: choose another one, or remove the rule.")
                )
        try:
            rules = parse_rules(
                {"base": _whole(self.base), "rules": [line.to_json() for line in lines]}, specs
            )
        except InvalidError as error:
            self._place(error, lines)
            return None
        return rules if len(lines) == len(self.lines) else None

    def _place(self, error: InvalidError, lines: list[RuleLine]) -> None:
        for issue in error.issues:
            if place := ISSUE.match(issue.field):
                lines[int(place[1])].faults.append(_in_words(place[2], issue.message))
            else:
                self.faults.append(
                    _("Base: %(fault)s") % {"fault": issue.message}
                    if issue.field == "base"
                    else issue.message
                )

    def _saved(self, rules: RuleSet) -> HttpResponse | None:
        """The way back to the list; None where somebody else saved meanwhile."""

        def check(version: int | None) -> None:
            if str(version or "") != self.seen:
                raise StaleVersionError("This was changed since you read it.", str(version))

        def save() -> HttpResponse:
            kept = replace_rules(rules, self.request.user, check)
            text = _("The rules are saved, and all leads are scored anew.")
            self.page.message_user(self.request, text, messages.SUCCESS)
            return HttpResponseRedirect(reverse("admin:core_scoringrules_change", args=[kept.pk]))

        try:
            return self.page.acting(self.request, save)
        except StaleVersionError:
            self.is_stale = True
            return None

    def _drawn(self) -> HttpResponse:
        offered = self._offered({line.feature for line in self.lines if line.question in LISTS})
        for line in self.lines:
            line.questions = [(name, QUESTIONS[name][0]) for name in self._questions(line.feature)]
            there = line.value.splitlines()
            line.offered = [one for one in offered.get(line.feature, []) if one[0] not in there]
        context = {
            **self.page.admin_site.each_context(self.request),
            "title": _("Scoring rules"),
            "opts": self.page.opts,
            "form": self,
            "features": sorted((one.spec.title, key) for key, one in self.features.items()),
            "most": MAX_POINTS,
            "bars": _bars(self.effect) if self.effect else [],
            "lead_page": home.list_url(self.target.model),
            "back": reverse("admin:core_scoringrules_changelist"),
            "wrong": len(self.faults) + sum(bool(line.faults) for line in self.lines),
        }
        return TemplateResponse(self.request, "admin/core/scoring_rules.html", context)

    def _offered(self, wanted: set[str]) -> dict[str, list[tuple[str, str]]]:
        """By feature, the values that its drop-down offers, with their words."""
        chosen = [self.features[key] for key in wanted if key in self.features]
        if not chosen:
            return {}
        newest = (
            self.target.definition.visible_to(self.request.user).order_by("-pk").values_list("pk", flat=True)
        )
        _ids, frame = FeatureReader(self.target, chosen).stored(list(newest[:LOOKED_AT]))
        return {one.spec.key: list(self._values(one, frame.column(one.spec.key))) for one in chosen}

    def _values(self, feature: Feature, column: Any) -> Iterator[tuple[str, str]]:
        """Declared choices first, then what leads have, the most frequent first."""
        declared = self.target.definition.by_name.get(feature.spec.key)
        field_type = declared.field_type if declared is not None else None
        found = {v.casefold(): t for v, t in field_type.options()} if isinstance(field_type, Choice) else {}
        counted: Counter[str] = Counter()
        for value in column if column is not None else ():
            counted.update(value if isinstance(value, tuple) else [value] if value is not None else [])
        for value, _times in counted.most_common(OFFERED):
            found.setdefault(value, value.replace("_", " "))
        yield from found.items()


def _question(test: str, value: Any) -> str:
    """The choice of the drop-down for a stored rule."""
    return next(
        name
        for name, (_words, asked, settled) in QUESTIONS.items()
        if asked == test and (settled is None or settled == bool(value))
    )


def _in_words(part: str, message: str) -> str:
    names = {"points": _("Points"), "value": _("Value"), "feature": _("Field"), "test": _("Condition")}
    return f"{names[part]}: {message}" if part in names else message


def _height(n: int, top: int) -> int:
    return max(round(140 * n / top), 2 if n else 0)


def _bars(effect: RuleEffect) -> list[dict[str, Any]]:
    """The histogram with the height of each pair of bars in percent of the highest."""
    top = max(max(bar.before, bar.after) for bar in effect.histogram) or 1
    return [
        {
            "bar": bar,
            "x": 8 + i * 62,
            "middle": 33 + i * 62,
            "columns": [
                {
                    "of": name,
                    "n": n,
                    "x": 8 + i * 62 + shift,
                    "y": 170 - _height(n, top),
                    "height": _height(n, top),
                }
                for name, n, shift in (("before", bar.before, 0), ("after", bar.after, 26))
            ],
        }
        for i, bar in enumerate(effect.histogram)
    ]
