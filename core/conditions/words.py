"""Conditions in words, for people to read: `Status is New`, `Score is above 70`."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from core import labels
from core.conditions.grammar import Condition, Group, Leaf, Negation, fields_of
from core.conditions.related import RelatedColumn
from core.conditions.relative_dates import RelativeDate, TimeSpan, WholeDay
from core.entities import field_types
from core.entities.columns import Column
from core.entities.reading import nested_refs

OPERATORS: dict[str, Any] = {
    "eq": gettext_lazy("is"),
    "ne": gettext_lazy("is not"),
    "in": gettext_lazy("is"),
    "not_in": gettext_lazy("is neither"),
    "lt": gettext_lazy("is below"),
    "lte": gettext_lazy("is at most"),
    "gt": gettext_lazy("is above"),
    "gte": gettext_lazy("is at least"),
    "before": gettext_lazy("is before"),
    "after": gettext_lazy("is after"),
    "contains": gettext_lazy("contains"),
    "starts_with": gettext_lazy("begins with"),
    "ends_with": gettext_lazy("ends with"),
    "has_any": gettext_lazy("has"),
    "has_all": gettext_lazy("has all of"),
    "has_none": gettext_lazy("has neither"),
    "changed_to": gettext_lazy("becomes"),
    "changed_from": gettext_lazy("is no longer"),
}
OF_DATES: dict[str, Any] = {
    "lt": gettext_lazy("is before"),
    "lte": gettext_lazy("is at the latest"),
    "gt": gettext_lazy("is after"),
    "gte": gettext_lazy("is at the earliest"),
}
NEITHER = ("not_in", "has_none")
# Values of a list that are named; of the others it is said how many there are.
NAMED = 6


class ConditionWords:
    """Puts conditions into words for a user: references by name, where the user sees what they point at."""

    def __init__(self, user: Any, conditions: Iterable[Condition]) -> None:
        """All of `conditions` are named by one statement for each kind of record."""
        wanted: dict[str, set[int]] = {}
        for condition in conditions:
            for leaf in fields_of(condition):
                if target := _target(leaf.column):
                    wanted.setdefault(target, set()).update(v for v in _listed(leaf.value) if type(v) is int)
        self.names = {target: nested_refs(target, ids, user) for target, ids in wanted.items()}

    def parts(self, condition: Condition) -> list[str]:
        """What must all hold, each in words; nothing where everything meets the condition."""
        if isinstance(condition, Group) and condition.word == "all":
            return [text for child in condition.children for text in self.parts(child)]
        return [text] if (text := self.of(condition)) else []

    def of(self, condition: Condition) -> str:
        """The whole of it in one line."""
        if isinstance(condition, Leaf):
            return f"{_label(condition.column)} {self._asked(condition)}"
        if isinstance(condition, Negation):
            return _("not (%(condition)s)") % {"condition": self.of(condition.child)}
        joined = _(" and ") if condition.word == "all" else _(" or ")
        texts = [self._nested(child) for child in condition.children]
        return joined.join(text for text in texts if text)

    def _nested(self, condition: Condition) -> str:
        text = self.of(condition)
        is_list = isinstance(condition, Group) and len(condition.children) > 1
        return f"({text})" if is_list and text else text

    def _asked(self, leaf: Leaf) -> str:
        """The operator with its value."""
        column, value = leaf.column, leaf.value
        if leaf.op == "is_empty":
            return str(_("is empty") if value else _("is filled in"))
        if leaf.op == "changed":
            return _("changes")
        if leaf.op == "between":
            low, high = (self._value(column, one) for one in value)
            return _("is between %(low)s and %(high)s") % {"low": low, "high": high}
        if isinstance(value, TimeSpan):
            words = _("is within the last %(span)s") if leaf.op == "within_last" else _("is within %(span)s")
            return words % {"span": length(value.length)}
        joined = _(" and ") if leaf.op == "has_all" else _(" nor ") if leaf.op in NEITHER else _(" or ")
        return f"{_operators(column)[leaf.op]} {self._values(column, value, joined)}"

    def _values(self, column: Column, value: Any, joined: str) -> str:
        values = _listed(value)
        named = [self._value(column, one) for one in values[:NAMED]]
        more = len(values) - NAMED
        if more > 0:
            named.append(ngettext("%(n)s more", "%(n)s more", more) % {"n": more})
        return joined.join([", ".join(named[:-1]), named[-1]]) if named[1:] else named[0]

    def _value(self, column: Column, value: Any) -> str:
        if target := _target(column):
            found = self.names[target].get(value, {})
            return str(found.get("full_name") or found.get("name") or f"{target} {value}")
        return value_in_words(column.field_type, value)


def value_in_words(field_type: Any, value: Any) -> str:
    """A value as its type is written: a choice by its name, a date as people write it."""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, RelativeDate):
        return _from_now(value.offset)
    if isinstance(value, WholeDay):
        return _day(value)
    if isinstance(value, datetime):
        return formats.date_format(_local(value), "DATETIME_FORMAT")
    if isinstance(value, date):
        return formats.date_format(value, "DATE_FORMAT")
    if isinstance(value, str) and (name := field_type.named({value}).get(value)):
        return str(name)
    is_choice = isinstance(field_type, field_types.Choice)
    return field_type.title_of(str(value)) if is_choice else str(value)


def _local(moment: datetime) -> datetime:
    """In the reader's zone, or as it stands in the last hours of 9999, which end sooner there."""
    try:
        return timezone.localtime(moment)
    except OverflowError:
        return moment


def length(span: timedelta) -> str:
    """`7 days`, `2 weeks`, `1 day 12 hours`."""
    minutes = round(abs(span).total_seconds() / 60)
    if minutes and minutes % (7 * 24 * 60) == 0:
        weeks = minutes // (7 * 24 * 60)
        return ngettext("%(n)s week", "%(n)s weeks", weeks) % {"n": weeks}
    days, hours, rest = minutes // 1440, minutes % 1440 // 60, minutes % 60
    texts = [
        ngettext("%(n)s day", "%(n)s days", days) % {"n": days} if days else "",
        ngettext("%(n)s hour", "%(n)s hours", hours) % {"n": hours} if hours else "",
        ngettext("%(n)s minute", "%(n)s minutes", rest) % {"n": rest} if rest or not minutes else "",
    ]
    return " ".join(text for text in texts if text)


def _from_now(offset: timedelta) -> str:
    if not offset:
        return _("now")
    words = _("%(span)s ago") if offset < timedelta(0) else _("%(span)s from now")
    return words % {"span": length(offset)}


def _day(value: WholeDay) -> str:
    if value.day:
        return formats.date_format(value.day, "DATE_FORMAT")
    return {0: _("today"), -1: _("yesterday"), 1: _("tomorrow")}[value.from_today]


def _operators(column: Column) -> dict[str, Any]:
    return OPERATORS | OF_DATES if _is_dated(column) else OPERATORS


def _is_dated(column: Column) -> bool:
    return isinstance(column.field_type, field_types.Date | field_types.DateTime)


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _target(column: Column) -> str:
    far = column.far if isinstance(column, RelatedColumn) else column
    return far.field_type.target if isinstance(far.field_type, field_types.Reference) else ""


def _label(column: Column) -> str:
    if column.label:
        return labels.field_title(column)
    return labels.titled(column.name.partition(".")[2] or column.name)
