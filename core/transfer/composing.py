"""From the values of a row to the record to store: defaults, rules, and flags that are never lowered."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from core.entities import Column, Entity, entities
from core.entities.cleaning import clean_value
from core.entities.custom import custom_columns
from core.errors import FieldIssue, InvalidError, ValueRefusedError
from core.transfer.import_fields import ID, ImportField
from core.transfer.import_rules import import_rules
from core.transfer.planning import Plan
from core.transfer.resolving import Resolver
from core.transfer.values import BLANK, CellReader, ColumnFormat, Refusal, Values


class Composer:
    """Makes the values of new and changed records; the entity's rules have the last word, as in the API."""

    def __init__(self, made: Plan, written: Sequence[Column]) -> None:
        targets, options, user = made.targets, made.options, made.user
        self.entity: Entity = targets.entity
        self.user = user
        self.rules = (*(import_rules.get(self.entity.name) or ()), *self.entity.rules)
        self.one_way = [targets.columns[n].path for n in targets.headers.one_way if n in targets.columns]
        # Fields that the importer may not write have their defaults as any others.
        whole = entities[self.entity.name]
        plain = [c for c in whole.columns if c.writable and c.name != "custom_fields"]
        limited = targets.entity.rights
        custom = custom_columns(whole) if limited else [c for c in targets.columns.values() if c.custom]
        asked, asked_custom = _defaults_asked(made)
        self.defaults: Values = {
            c.path: c.empty if c.default is None else c.default for c in plain if not c.required
        } | asked
        self.custom_defaults: Values = {
            c.path: c.default for c in custom if c.default is not None
        } | asked_custom
        self.required = [c for c in targets.writable if c.required and not c.custom and c.path not in asked]
        self.required_custom = [
            c for c in targets.writable if c.required and c.custom and c.path not in self.custom_defaults
        ]
        self.clearable = (
            [c for c in written if not c.required and c.name != ID] if options.clear_blank else []
        )
        fields = self.entity.model._meta.concrete_fields
        self.empty_record: Values = {f.attname: f.get_default() for f in fields if not f.generated} | {
            "id": 0
        }

    def new(self, given: Values, custom: Values) -> Values:
        """The values of a new record. Raises InvalidError."""
        missing = [c for c in self.required if c.path not in given]
        missing += [c for c in self.required_custom if c.path not in custom]
        if missing:
            raise InvalidError(
                [
                    FieldIssue(c.name, "required", _("This field is required for a new record."))
                    for c in missing
                ]
            )
        values = self.defaults | given
        values["custom_fields"] = self.custom_defaults | custom
        if self.user is not None:
            values["created_by_id"] = self.user.pk
            if values.get("owner_id") is None:
                values["owner_id"] = self.user.pk
        for rule in self.rules:
            rule(values, None)
        return values

    def raised(self, given: Values, record: Values) -> list[str]:
        """Flags that are never lowered, and that a row raises on a record."""
        return [path for path in self.one_way if given.get(path) and not record.get(path)]

    def changed(
        self, given: Values, custom: Values, before: Values, unreadable: Collection[str] = ()
    ) -> Values:
        """Those values of a stored record that differ. A cell that is `unreadable` is not a blank one, which
        may empty its field. Raises InvalidError."""
        values = dict(given)
        kept = before["custom_fields"] or {}
        merged = kept | custom if custom else kept
        for column in self.clearable:
            if column.path in unreadable:
                continue
            merged = self._clear(column, values, custom, merged)
        for path in self.one_way:
            if before.get(path) and path in values:
                values[path] = before[path]
        if merged is not kept:
            values["custom_fields"] = merged
        for rule in self.rules:
            rule(values, before)
        return {name: value for name, value in values.items() if differs(before[name], value)}

    def _clear(self, column: Column, values: Values, custom: Values, merged: Values) -> Values:
        """A blank cell empties the field."""
        if not column.custom:
            values.setdefault(column.path, column.empty)
        elif column.path not in custom and column.path in merged:
            return {key: value for key, value in merged.items() if key != column.path}
        return merged


def differs(before: Any, value: Any) -> bool:
    """Whether a stored value is another one. Files hold moments to the second."""
    if isinstance(before, datetime) and isinstance(value, datetime) and not value.microsecond:
        before = before.replace(microsecond=0)
    return before != value


def _defaults_asked(made: Plan) -> tuple[Values, Values]:
    """`default_values` cleaned, plain and custom. Raises InvalidError naming each that is wrong."""
    plain: Values = {}
    custom: Values = {}
    issues: list[FieldIssue] = []
    targets = made.targets
    for name, raw in made.options.default_values.items():
        target = targets.by_name.get(name)
        column = target.column if target is not None else None
        if target is None or column is None or column.name == ID:
            issues.append(
                FieldIssue(
                    f"default_values.{name[:80]}",
                    "unknown_field",
                    _("Known: %(known)s.") % {"known": targets.known},
                )
            )
            continue
        value = _referred(target, raw, made.user) if target.is_reference else _default(column, raw, made)
        if isinstance(value, Refusal):
            issues.append(FieldIssue(f"default_values.{name}", value.code, value.message))
        elif value is not BLANK:
            into = custom if column.custom else plain
            into[column.path] = column.field_type.to_representation(value) if column.custom else value
    if issues:
        raise InvalidError(issues)
    return plain, custom


def _referred(target: ImportField, raw: Any, user: Any) -> Any:
    """A reference by its id or, as in a cell, by what it is called: to what the importer may point at."""
    if isinstance(raw, bool) or not isinstance(raw, int | str):
        return Refusal("incorrect_type", _("Expected a name or an id."))
    if isinstance(raw, int):
        target = replace(target, part="id")
    return Resolver(user).read(target, [str(raw)])[0]


def _default(column: Column, raw: Any, made: Plan) -> Any:
    """Text as a cell would hold it; anything else as the API takes it."""
    column = replace(column, field_type=column.field_type.in_region(made.phone_region))
    if isinstance(raw, str):
        words: Mapping[str, str] = made.targets.headers.values.get(column.name, {})
        return CellReader(column, ColumnFormat(words=words or None)).read_one(raw)
    try:
        value = clean_value(column, raw)
    except ValueRefusedError as error:
        return Refusal(error.code, error.message)
    return BLANK if value is None else value
