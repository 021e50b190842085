"""Changes of records in words: labels for columns, names for ids, labels for choices."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.utils import formats, timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext as _

from core import labels
from core.entities import Entity, entities
from core.entities.blanking import seen_by
from core.entities.columns import Column
from core.entities.custom import PREFIX, schema
from core.entities.field_types import Boolean, Choice, Date, DateTime, Reference

LONGEST = 160
NOTHING = "-"


@dataclass(frozen=True)
class Difference:
    """One field of a change, as it was and as it became."""

    label: str
    old: str
    new: str


class ChangeWords:
    """Puts the changes of one entity's records into words for a user.

    A record that the user does not see stays a number.
    """

    def __init__(self, entity: Entity, user: Any, changes: Iterable[Mapping[str, Any]]) -> None:
        """`changes` map public names of columns to {"old", "new"}."""
        found = [dict(_flat(change)) for change in changes]
        names = [name for change in found for name in change]
        self.columns = schema(entity, names=names)
        self.model = entity.model
        self.names = self._names(found, user)
        self.called = self._called_by_type(found)

    def of(self, change: Mapping[str, Any]) -> list[Difference]:
        return [
            Difference(self._label(name), self._text(name, old), self._text(name, new))
            for name, (old, new) in _flat(change)
        ]

    def _names(self, changes: list[dict[str, tuple[Any, Any]]], user: Any) -> dict[tuple[str, int], str]:
        """What each record or person that a change refers to is called, by target and id."""
        wanted: dict[str, set[int]] = {}
        for change in changes:
            for name, values in change.items():
                if target := _target(self.columns.get(name)):
                    wanted.setdefault(target, set()).update(v for v in values if isinstance(v, int))
        called = {target: _called(target, ids, user) for target, ids in wanted.items()}
        return {(target, pk): text for target, found in called.items() for pk, text in found}

    def _called_by_type(self, changes: list[dict[str, tuple[Any, Any]]]) -> dict[tuple[str, Any], str]:
        """What values are called whose type knows it, by column and value."""
        made = {}
        for name, column in self.columns.items():
            values = {v for change in changes for v in change.get(name, ()) if isinstance(v, str) and v}
            if values and column.field_type:
                made.update({(name, v): text for v, text in column.field_type.named(values).items()})
        return made

    def _label(self, name: str) -> str:
        column = self.columns.get(name)
        if column is None and name.startswith(PREFIX):  # a custom field that is no more
            return labels.as_title(name.removeprefix(PREFIX))
        return labels.field_title(column) if column else labels.titled(name)

    def _text(self, name: str, value: Any) -> str:
        if value is None or value in ("", [], {}):
            return NOTHING
        column = self.columns.get(name)
        if (target := _target(column)) and isinstance(value, int):
            return self.names.get((target, value), f"{target} {value}")
        if isinstance(value, str) and (name, value) in self.called:
            return self.called[name, value]
        return _in_words(column, value)[:LONGEST]


def _flat(change: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Field → (old, new); custom fields each under its own name, those that stayed left out."""
    for name, values in change.items():
        old, new = values["old"], values["new"]
        if name != "custom_fields":
            yield name, (old, new)
            continue
        before, after = old or {}, new or {}
        for key in sorted({*before, *after}):
            if before.get(key) != after.get(key):
                yield f"{PREFIX}{key}", (before.get(key), after.get(key))


def _target(column: Column | None) -> str:
    field_type = column.field_type if column else None
    return field_type.target if isinstance(field_type, Reference) else ""


def _called(target: str, ids: set[int], user: Any) -> Iterator[tuple[int, str]]:
    if target == "user":
        found = get_user_model().objects.filter(pk__in=ids)
        yield from ((person.pk, person.get_full_name()) for person in found)
    elif entity := entities.get(target):
        yield from (
            (record.pk, str(record)) for record in seen_by(user, entity.model.objects.filter(pk__in=ids))
        )


def _in_words(column: Column | None, value: Any) -> str:
    field_type = column.field_type if column else None
    if isinstance(value, bool) or isinstance(field_type, Boolean):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, float):
        return formats.number_format(round(value, 2))
    if isinstance(field_type, DateTime) and (moment := parse_datetime(str(value))):
        return formats.date_format(timezone.localtime(moment), "DATETIME_FORMAT")
    if isinstance(field_type, Date) and (day := parse_date(str(value))):
        return formats.date_format(day, "DATE_FORMAT")
    return field_type.title_of(str(value)) if isinstance(field_type, Choice) else str(value)
