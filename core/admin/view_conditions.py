"""What a list of the admin site is narrowed by, as a condition that a saved view keeps."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib.admin.views.main import ORDER_VAR
from django.core.exceptions import ValidationError
from django.utils.text import capfirst

from core import labels
from core.admin.filters_shown import UNNAMED
from core.admin.typed_dates import typed_day, typed_moment
from core.conditions import Condition, parse
from core.entities import Entity
from core.entities.finding import ordering
from core.errors import InvalidError

# Django's lookups and the operators that mean the same.
OPERATORS = {
    "exact": "eq",
    "in": "in",
    "gt": "gt",
    "gte": "gte",
    "lt": "lt",
    "lte": "lte",
    "isnull": "is_empty",
}
ENDS = {"_from": "gte", "_to": "lte"}


@dataclass
class Kept:
    """The condition of a list, and the titles of filters that have none."""

    conditions: list[Any] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def condition(self) -> Any:
        """As a saved view has it."""
        return {"all": self.conditions} if self.conditions else {}


def kept_of(changelist: Any, entity: Entity, user: Any, besides: str = "") -> Kept:
    """Every filter of the list that was chosen, and what its address narrows by besides; without the filter
    of the parameter `besides`."""
    found = Kept()
    specs = [spec for spec in changelist.filter_specs if besides not in spec.expected_parameters()]
    for title, raw in [*_of_filters(changelist, specs, entity, user), *_of_others(changelist, entity)]:
        if raw is None or _refused(entity, raw):
            found.left_out.append(title)
        elif raw:
            found.conditions.append(raw)
    return found


def ordering_of(changelist: Any, entity: Entity) -> str:
    """The order that was chosen by clicking on columns, as the API names it; "" where none was."""
    if ORDER_VAR not in changelist.params:
        return ""
    names = []
    for part in str(changelist.params[ORDER_VAR]).split("."):
        _none, descending, place = part.rpartition("-")
        if place.isdecimal() and len(place) < 4 and int(place) < len(changelist.list_display):
            name = changelist.get_ordering_field(changelist.list_display[int(place)])
            names.append(f"{descending}{name}" if isinstance(name, str) else "")
    text = ",".join(name for name in names if name)
    try:
        ordering(entity, text)
    except InvalidError:
        return ""
    return text


def _refused(entity: Entity, raw: Any) -> bool:
    try:
        parsed(entity, raw)
    except InvalidError:
        return True
    return False


def parsed(entity: Entity, raw: Any) -> Condition:
    """Raises InvalidError."""
    return parse(entity, raw, name="view")


def _of_filters(
    changelist: Any, specs: Iterable[Any], entity: Entity, user: Any
) -> Iterator[tuple[str, Any]]:
    for spec in specs:
        given = {
            name: str(text) for name in spec.expected_parameters() if (text := changelist.params.get(name))
        }
        if not given:
            continue
        title = capfirst(str(spec.title))
        if hasattr(spec, "as_condition"):
            yield title, spec.as_condition(user)
        else:
            yield from ((title, raw) for raw in _of_field(entity, given))


def _of_others(changelist: Any, entity: Entity) -> Iterator[tuple[str, Any]]:
    known = {name for spec in changelist.filter_specs for name in spec.expected_parameters()}
    for name, value in changelist.params.items():
        if name not in known and name not in UNNAMED:
            title = labels.titled(name.partition("__")[0])
            yield from ((title, raw) for raw in _of_field(entity, {name: str(value)}))


def _of_field(entity: Entity, given: Mapping[str, str]) -> Iterator[Any]:
    """Of each parameter its condition, or None; both parts of a moment make one, and one alone asks for
    nothing, as in the list."""
    for name, text in given.items():
        stem, _sep, part = name.rpartition("_")
        if not (part in ("0", "1") and stem.endswith(tuple(ENDS))):
            yield _of_one(entity, name, text)
        elif part == "0" and f"{stem}_1" in given:
            yield _of_moment(entity, stem, text, given[f"{stem}_1"])


def _of_one(entity: Entity, name: str, text: str) -> Any:
    for end, op in ENDS.items():
        if name.endswith(end) and (known := _column(entity, name.removesuffix(end))):
            return {"field": known, "op": op, "value": _day(text)}
    base, _sep, lookup = name.partition("__")
    operator = OPERATORS.get(lookup.removeprefix("id__") or "exact")
    column = _column(entity, base)
    if column is None or operator is None:
        return None
    value: Any = text.split(",") if operator == "in" else text
    if operator == "is_empty":
        value = text in ("1", "True", "true")
    return {"field": column, "op": operator, "value": value}


def _day(text: str) -> str:
    """A day as it is written in the reader's language, as the API takes it; any other text as it is."""
    try:
        return typed_day(text).isoformat()
    except ValidationError:
        return text


def _of_moment(entity: Entity, stem: str, day: str, clock: str) -> Any:
    end = "_from" if stem.endswith("_from") else "_to"
    known = _column(entity, stem.removesuffix(end))
    try:
        moment = typed_moment(day, clock)
    except ValidationError:
        return None
    return {"field": known, "op": ENDS[end], "value": moment.isoformat()} if known else None


def _column(entity: Entity, name: str) -> str | None:
    found = entity.by_name.get(name)
    return found.name if found is not None and found.filterable else None
