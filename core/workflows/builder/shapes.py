"""How values stand in the form: each shape turns a value of a definition into texts and back."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.conditions.relative_dates import DAYS
from core.conditions.relative_dates import UNITS as CONDITION_UNITS
from core.entities import field_types
from core.entities.columns import Column
from core.workflows.field_types import UNITS, ClockTime, Duration, TextOrList, UserIds, WorkingHoursField
from core.workflows.params import Param
from core.workflows.templating import names_are_read

# What a value becomes in the form; None where the form cannot hold it.
Draft = str | list[str] | dict[str, Any] | None
WHOLE, DECIMAL = re.compile(r"-?\d{1,18}\Z"), re.compile(r"-?\d{1,15}\.\d{1,9}\Z")
LONG_TEXT = 300


def with_line_feeds(text: str) -> str:
    """Browsers send CRLF at the end of each line, definitions hold line feeds."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def is_one_line(text: str) -> bool:
    return len(text.splitlines()) < 2 and "\n" not in text


@dataclass(frozen=True)
class InputShape:
    """A text as it is. `widget` names the part of the template that draws it; `options` are (value,
    title)."""

    widget: str = "text"
    options: tuple[tuple[str, str], ...] = ()
    # What an id is of, and whether there may be several.
    target: str = ""
    multiple: bool = False

    def draft(self, value: Any) -> Draft:
        return with_line_feeds(value) if isinstance(value, str) else None

    def value(self, draft: Any) -> Any:
        """What the definition holds; None where nothing was given."""
        return (_text(draft) or None) if not isinstance(draft, list) else None


@dataclass(frozen=True)
class NumberInput(InputShape):
    """A number; also a template that gives one. Of an `exact` one the decimal places are text."""

    exact: bool = False

    def draft(self, value: Any) -> Draft:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return str(value) if is_number else super().draft(value)

    def value(self, draft: Any) -> Any:
        text = _text(draft).strip()
        if WHOLE.match(text):
            return int(text)
        return float(text) if DECIMAL.match(text) and not self.exact else text or None


@dataclass(frozen=True)
class Lines(InputShape):
    """One text or several, each on a line of its own."""

    widget: str = "lines"

    def draft(self, value: Any) -> Draft:
        values = value if isinstance(value, list) else [value]
        is_plain = all(isinstance(one, str) and one and is_one_line(one) for one in values)
        return "\n".join(values) if values and is_plain else None

    def value(self, draft: Any) -> Any:
        found = [line.strip() for line in _text(draft).splitlines() if line.strip()]
        return found if self.multiple and found else found[0] if len(found) == 1 else found or None


@dataclass(frozen=True)
class Picked(InputShape):
    """One of a list, or several; `text` beside it holds a template instead. `read` makes the value of what
    was picked."""

    widget: str = "pick"
    read: Callable[[str], Any] = str
    templated: bool = True

    def draft(self, value: Any) -> Draft:
        if names_are_read(value):
            is_text = isinstance(value, str) and is_one_line(value)
            return {"text": value} if is_text and self.templated else None
        if self.multiple:
            values = value if isinstance(value, list) else [value]
            return {"pick": [_word(one) for one in values]} if all(map(self._is_word, values)) else None
        return {"pick": _word(value)} if self._is_word(value) else None

    def _is_word(self, value: Any) -> bool:
        return isinstance(value, str | int) and value != ""

    def value(self, draft: Any) -> Any:
        given = draft if isinstance(draft, Mapping) else {"pick": draft}
        if text := _text(given.get("text")).strip():
            return text
        picked = given.get("pick") or []
        words = [
            word
            for word in (picked if isinstance(picked, list) else [picked])
            if isinstance(word, str) and word
        ]
        if self.multiple:
            return [self.read(word) for word in words] or None
        return self.read(words[0]) if words else None


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def yes_or_no(word: str) -> Any:
    return {"true": True, "false": False}.get(word, word)


def whole(word: str) -> Any:
    return int(word) if WHOLE.match(word) else word


@dataclass(frozen=True)
class SpanInput(InputShape):
    """A length of time in one unit: `{"days": 3}`; with `signed` before or after."""

    widget: str = "span"
    units: tuple[str, ...] = UNITS
    signed: bool = False

    def draft(self, value: Any) -> Draft:
        if not isinstance(value, Mapping) or len(value) != 1:
            return None
        unit, n = next(iter(value.items()))
        if unit not in self.units or not isinstance(n, int) or (n < 0 and not self.signed):
            return None
        return {"n": str(abs(n)), "unit": unit, "side": "before" if n < 0 else "after"}

    def value(self, draft: Any) -> Any:
        given = draft if isinstance(draft, Mapping) else {}
        n, unit = _text(given.get("n")).strip(), _text(given.get("unit"))
        if not n:
            return None
        number = whole(n)
        if self.signed and isinstance(number, int) and given.get("side") == "before":
            number = -number
        return {unit if unit in self.units else "days": number}


@dataclass(frozen=True)
class Moment(InputShape):
    """A date or time that a condition compares with: one of the calendar, a day with a name, or so long from
    now."""

    widget: str = "moment"
    units: tuple[str, ...] = CONDITION_UNITS

    def draft(self, value: Any) -> Draft:
        if isinstance(value, str):
            if not is_one_line(value):
                return None
            return {"day": value} if value in (*DAYS, "now") else {"day": "date", "at": value}
        found = SpanInput(units=self.units, signed=True).draft(value)
        if not isinstance(found, dict):
            return None
        return {"day": "ago" if found.pop("side") == "before" else "ahead", **found}

    def value(self, draft: Any) -> Any:
        given = draft if isinstance(draft, Mapping) else {"at": draft}
        day = given.get("day") or "date"
        if day == "date":
            return _text(given.get("at")).strip() or None
        if day not in ("ago", "ahead"):
            return day
        side = {"side": "before" if day == "ago" else "after"}
        return SpanInput(units=self.units, signed=True).value({**given, **side})


@dataclass(frozen=True)
class Pairs(InputShape):
    """Names with a value each. `typed` makes the value of the text that stands beside a name."""

    widget: str = "pairs"
    typed: Callable[[str, str], Any] = field(default=lambda name, text: text)
    names: tuple[tuple[str, str], ...] = ()

    def draft(self, value: Any) -> Draft:
        if not isinstance(value, Mapping) or not all(isinstance(one, str | int) for one in value.values()):
            return None
        if not all(is_one_line(str(name)) for name in value):
            return None
        pairs = [{"name": str(name), "value": with_line_feeds(_word(one))} for name, one in value.items()]
        return {str(i): pair for i, pair in enumerate(pairs)}

    def value(self, draft: Any) -> Any:
        pairs = [(_text(row.get("name")).strip(), _text(row.get("value"))) for row in rows(draft)]
        return {name: self.typed(name, text) for name, text in pairs if name} or None


def rows(draft: Any) -> list[dict[str, Any]]:
    """The rows of a list in a draft, in order."""
    return [row for _place, row in numbered(draft)]


def numbered(draft: Any) -> list[tuple[str, dict[str, Any]]]:
    """The rows with their places."""
    if not isinstance(draft, Mapping):
        return []
    places = sorted((name for name in draft if name.isdecimal() and len(name) < 6), key=int)
    return [(place, draft[place]) for place in places if isinstance(draft[place], dict)]


def _text(draft: Any) -> str:
    return draft if isinstance(draft, str) else ""


TEXT, LONG = InputShape(), InputShape("area")
YES_NO = Picked(options=(("true", "yes"), ("false", "no")), read=yes_or_no)


def shape_of_type(kind: Any, several: bool = False) -> InputShape:
    """How a value of a field type stands in the form; with `several` a list of such values."""
    if isinstance(kind, field_types.Boolean):
        return YES_NO
    if isinstance(kind, field_types.Reference):
        return Picked(target=kind.target, read=whole, multiple=several)
    if options := kind.options() if kind is not None else []:
        many = several or isinstance(kind, field_types.MultiChoice)
        return Picked(options=tuple(options), multiple=many)
    if several or isinstance(kind, field_types.TextList | TextOrList):
        return Lines(multiple=several)
    if isinstance(kind, field_types.Integer | field_types.Float | field_types.Money):
        return NumberInput(widget="number", exact=isinstance(kind, field_types.Money))
    return LONG if isinstance(kind, field_types.Text) and (kind.max_length or 0) > LONG_TEXT else TEXT


def shape_of_param(param: Param) -> InputShape:
    """How a parameter stands in the form, where that depends on nothing else."""
    kind = param.kind
    if param.refers_to in ("user", "team"):
        return Picked(
            target=param.refers_to, read=whole, multiple=isinstance(kind, UserIds), templated=param.template
        )
    if isinstance(kind, Duration):
        return SpanInput(signed=kind.signed)
    if isinstance(kind, WorkingHoursField):
        return Picked(options=(("true", "yes"), ("false", "no")), read=yes_or_no, templated=False)
    if isinstance(kind, ClockTime):
        return InputShape("clock")
    if isinstance(kind, field_types.Choice | field_types.Boolean):
        found = shape_of_type(kind)
        return (
            found
            if not isinstance(found, Picked)
            else Picked(options=found.options, read=found.read, templated=param.template)
        )
    if isinstance(kind, field_types.Integer):
        return NumberInput(widget="number")
    if kind is None:
        return LONG if param.name == "body" else TEXT
    return shape_of_type(kind)


def shape_of_operand(column: Column | None, op: str) -> InputShape | None:
    """How the value of a condition stands in the form; None where the operator takes none."""
    if op in ("changed", "is_empty", "is_filled"):
        return None
    if op in ("within_last", "within_next"):
        return SpanInput(units=CONDITION_UNITS)
    if column is None or op in ("contains", "starts_with", "ends_with"):
        return TEXT
    kind = column.field_type
    if op in ("in", "not_in", "has_any", "has_all", "has_none"):
        found = shape_of_type(kind, several=True)
        return Picked(**{**vars(found), "templated": False}) if isinstance(found, Picked) else found
    if isinstance(kind, field_types.Date | field_types.DateTime):
        return Moment()
    found = shape_of_type(kind)
    return Picked(**{**vars(found), "templated": False}) if isinstance(found, Picked) else found
