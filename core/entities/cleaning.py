"""From what a client sent to the values to store: one path for the API, bulk changes and automation.

All faults are collected and raised together as InvalidError, each under the name the client used.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext, gettext_noop

from core.entities import custom, field_types
from core.entities.columns import Column
from core.entities.entity import Entity, entity_of
from core.entities.field_rights import FieldRights
from core.entities.locks import UNIQUE_FIELD, lock
from core.entities.lookups import Lookups
from core.entities.money import CURRENCY_FIELD, contradiction, preferred, read_amount, settled
from core.entities.regions import COUNTRY_FIELD, region_at
from core.errors import FieldIssue, InvalidError, ValueRefusedError

UNKNOWN_FIELD = gettext_noop("Unknown field.")
MAY_NOT_CHANGE = gettext_noop("Your role may read this field and not change it.")
# A PUT replaces a record's content and leaves who it belongs to.
KEPT_BY_PUT = {"owner", "assigned_to"}


def clean(
    entity: Entity,
    data: Any,
    *,
    user: Any,
    before: Mapping[str, Any] | None = None,
    partial: bool = False,
    lookups: Lookups | None = None,
    rights: FieldRights | None = None,
) -> dict[str, Any]:
    """Values by table column for a new record (`before` None) or a changed one.

    `user` is who writes: references must be visible to them; None stands for the system. `partial` leaves
    fields that are not given as they are; otherwise they fall to their defaults. `lookups` are those of a
    writer of many. What of the fields may be written is said by the rights of the user, or by `rights`: what
    the system moves by itself for somebody is limited by none. Raises InvalidError.
    """
    seen = entity.for_user(user) if rights is None else entity.limited(rights)
    return Cleaning(seen, user, before, partial, lookups).run(data)


def refuse_out_of_reach(entity: Entity, names: Iterable[str]) -> None:
    """Raises InvalidError for those of the fields, custom ones too, that whom the entity is limited for may
    not write: of what somebody gives along with a verb that writes by itself otherwise."""
    issues = []
    for name in names:
        locked = name in entity.read_only
        if locked or name in entity.hidden:
            code, message = ("read_only", MAY_NOT_CHANGE) if locked else ("unknown_field", UNKNOWN_FIELD)
            issues.append(FieldIssue(name, code, gettext(message)))
    if issues:
        raise InvalidError(issues)


class Cleaning:
    """One pass over one record's input."""

    def __init__(
        self,
        entity: Entity,
        user: Any,
        before: Mapping[str, Any] | None,
        partial: bool,
        lookups: Lookups | None = None,
    ) -> None:
        self.entity, self.before, self.lookups = entity, before, lookups or Lookups(user)
        self.user, self.region = user, ""
        self.partial = partial and before is not None
        self.values: dict[str, Any] = {}
        self.issues: list[FieldIssue] = []

    def run(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, Mapping):
            raise InvalidError.of("", gettext("Expected an object."), "not_an_object")
        given = self._known(data)
        self.region = self._region(data)
        for column, raw in sorted(given.values(), key=_currency_first):
            self._clean_one(column, raw, self.values, column.path)
        self._complete({c.name for c, _ in given.values()} | self.values.keys() & {CURRENCY_FIELD})
        self._clean_custom_fields(data)
        self._check_references()
        self._check_unique()
        self._raise_if_any()
        self._apply_rules()
        return self.values

    def _known(self, data: Mapping[str, Any]) -> dict[str, tuple[Column, Any]]:
        known: dict[str, tuple[Column, Any]] = {}
        for name, raw in data.items():
            column = self.entity.by_input_name.get(name)
            if column is None or not (column.writable or column.locked):
                code = "unknown_field" if column is None else "read_only"
                word = self._known_names() if column is None else gettext("This field is read-only.")
                self.issues.append(FieldIssue(str(name)[:120], code, word))
            elif column.name in {c.name for c, _ in known.values()}:
                self.issues.append(FieldIssue(column.name, "given_twice", gettext("Given under two names.")))
            elif column.name != "custom_fields":
                known[name] = (column, raw)
        return known

    def _known_names(self) -> str:
        names = sorted(column.name for column in self.entity.columns if column.writable)
        return gettext("Unknown field. Known: %(names)s.") % {"names": ", ".join(names)}

    def _region(self, data: Mapping[str, Any]) -> str:
        """Where local phone numbers are from: the record's country, else where its writer is."""
        country = data.get(COUNTRY_FIELD) or (self.before or {}).get(COUNTRY_FIELD)
        return region_at(country, getattr(self.user, "phone_region", ""))

    def _clean_one(self, column: Column, raw: Any, into: dict[str, Any], key: str) -> None:
        try:
            value = clean_value(column, self._amount(column, raw), self.region)
        except ValueRefusedError as error:
            self.issues.append(FieldIssue(column.name, error.code, error.message))
            return
        if column.locked:
            self._check_unchanged(column, value, key)
        else:
            into[key] = value

    def _check_unchanged(self, column: Column, value: Any, key: str) -> None:
        """Of a field that may only be read: a record may be sent back as it was read, and nothing else."""
        kept = self.before or {}
        if key not in kept or kept[key] != value:
            self.issues.append(FieldIssue(column.name, "read_only", gettext(MAY_NOT_CHANGE)))

    def _amount(self, column: Column, raw: Any) -> Any:
        """An amount without the currency beside it, which becomes the record's; a sign of several currencies
        is that of the record where it may be. Raises ValueRefusedError for one that contradicts the currency
        given beside it."""
        if type(column.field_type) is not field_types.Money or not isinstance(raw, str):
            return raw
        bare, codes = read_amount(raw)
        if not codes or CURRENCY_FIELD not in self.entity.by_name:
            return bare
        named = self.values.get(CURRENCY_FIELD) or ""
        found = settled(codes, named or preferred(codes, (self.before or {}).get(CURRENCY_FIELD)))
        if found is None:
            raise ValueRefusedError(contradiction(raw, named), code="currency_mismatch")
        self.values[CURRENCY_FIELD] = found
        return bare

    def _complete(self, given: set[str]) -> None:
        """Fields that were not given: required ones are missed, others fall to their defaults."""
        if self.partial:
            return
        for column in self.entity.columns:
            if column.name in given or not column.writable or column.name == "custom_fields":
                continue
            if column.required:
                self.issues.append(FieldIssue(column.name, "required", gettext("This field is required.")))
            elif self.before is None or column.name not in KEPT_BY_PUT:
                self.values[column.path] = column.empty if column.default is None else column.default

    def _clean_custom_fields(self, data: Mapping[str, Any]) -> None:
        if self.partial and "custom_fields" not in data:
            return
        given = data.get("custom_fields")
        given = {} if given is None else given
        if not isinstance(given, Mapping):
            self.issues.append(FieldIssue("custom_fields", "not_an_object", gettext("Expected an object.")))
            return
        kept = dict(self.before["custom_fields"]) if self.before else {}
        if not self.partial:
            out_of_reach = self.entity.hidden_keys | self.entity.locked_keys
            kept = {key: value for key, value in kept.items() if key in out_of_reach}
        self.values["custom_fields"] = CustomValues(self, given, kept).run()

    def _check_references(self) -> None:
        """Ids in the body must be visible to the writer; hidden and missing ones look alike."""
        for column in self.entity.columns:
            pk = self.values.get(column.path)
            if (
                isinstance(column.field_type, field_types.Reference)
                and pk is not None
                and self._is_new(column.path, pk)
            ):
                self._check_reference(column, pk)

    def _is_new(self, path: str, value: Any) -> bool:
        return self.before is None or self.before.get(path) != value

    def _check_reference(self, column: Column, pk: int) -> None:
        if not self.lookups.may_refer(column.field_type.target, pk):
            message = gettext('Invalid id "%(pk)s": there is no such %(target)s.') % {
                "pk": pk,
                "target": column.field_type.target,
            }
            self.issues.append(FieldIssue(column.name, "does_not_exist", message))

    def _check_unique(self) -> None:
        """What no two records may have at once. The constraint has the last word; this names the field."""
        for column in self.entity.columns:
            value = self.values.get(column.path)
            if not (column.unique and value and self._is_new(column.path, value)):
                continue
            if _is_held(self.entity, column.path, value, self.before["id"] if self.before else None):
                self.issues.append(
                    FieldIssue(column.name, "unique", gettext("Another record has this value."))
                )

    def _apply_rules(self) -> None:
        for rule in self.entity.rules:
            rule(self.values, self.before)

    def _raise_if_any(self) -> None:
        if self.issues:
            raise InvalidError(self.issues)


def _currency_first(given: tuple[Column, Any]) -> bool:
    """Amounts are looked at when the currency of the record is known."""
    return given[0].name != CURRENCY_FIELD


def warnings_of(entity: Entity, record: Any, names: Iterable[str]) -> list[dict[str, str]]:
    """What is doubtful about those fields of a record that were given, in the form of the API."""
    columns = {c.name: c for c in (entity.by_input_name.get(name) for name in names) if c is not None}
    found = ((c, c.field_type.warning(getattr(record, c.path, None))) for c in columns.values())
    return [
        {"field": column.name, "code": "kept_as_written", "message": message}
        for column, message in found
        if message
    ]


def clean_value(column: Column, raw: Any, region: str = "") -> Any:
    """One value, null and blank ones included; `region` is where it is from. Raises ValueRefusedError."""
    if raw is None or (raw == "" and not isinstance(column.field_type, field_types.Json)):
        if column.required:
            raise ValueRefusedError(gettext("This field may not be blank."), code="blank")
        return column.cleared
    kind = column.field_type.in_region(region) if region else column.field_type
    value = kind.to_internal_value(raw)
    if column.required and value in ("", []):
        raise ValueRefusedError(gettext("This field may not be blank."), code="blank")
    if value == "" and column.nullable:
        return None
    return value


class CustomValues:
    """The `custom_fields` object: given keys over kept ones; null removes a key."""

    def __init__(self, cleaning: Cleaning, given: Mapping[str, Any], kept: dict[str, Any]) -> None:
        self.cleaning, self.given, self.kept = cleaning, given, kept

    def run(self) -> dict[str, Any]:
        entity = self.cleaning.entity
        columns = {
            d.key: custom.custom_column(d, locked=d.key in entity.locked_keys)
            for d in self.cleaning.lookups.definitions(entity)
        }
        for key in self.given:
            if key not in columns or key in entity.hidden_keys:
                name = f"{custom.PREFIX}{str(key)[:60]}"
                self._refuse(name, "unknown_field", gettext("No such custom field is defined."))
        for key, column in columns.items():
            self._take(key, column, is_reached=key not in entity.hidden_keys)
        return self.kept

    def _take(self, key: str, column: Column, *, is_reached: bool) -> None:
        """One field: what is given, or its default; who cannot give a required one is not asked for it."""
        if key in self.given and is_reached:
            self._set(key, column, self.given[key])
        elif column.default is not None and self._is_missed(key):
            self._set(key, column, column.default)
        elif column.required and column.writable and is_reached and self._is_missed(key):
            self._refuse(column.name, "required", gettext("This field is required."))

    def _is_missed(self, key: str) -> bool:
        return key not in self.kept and not self.cleaning.partial

    def _set(self, key: str, column: Column, raw: Any) -> None:
        try:
            value = clean_value(column, self.cleaning._amount(column, raw))
        except ValueRefusedError as error:
            self._refuse(column.name, error.code, error.message)
            return
        if column.locked and key in self.given:
            self._check_unchanged(key, column, value)
            return
        if value is None or value in ([], ""):
            self.kept.pop(key, None)
            return
        self.kept[key] = column.field_type.to_representation(value)
        self._check_stored(key, column, value)

    def _check_unchanged(self, key: str, column: Column, value: Any) -> None:
        """Of a field that may only be read: what is sent must be what is there."""
        stored = None if value in (None, [], "") else column.field_type.to_representation(value)
        if self.kept.get(key) != stored:
            self._refuse(column.name, "read_only", gettext(MAY_NOT_CHANGE))

    def _check_stored(self, key: str, column: Column, value: Any) -> None:
        """What only the database can answer: does the user exist, is the value still free."""
        if isinstance(column.field_type, field_types.Reference):
            self.cleaning._check_reference(column, value)
        if column.unique and is_taken(self.cleaning.entity, key, self.kept[key], self.cleaning.before):
            self._refuse(column.name, "unique", gettext("Another record has this value."))

    def _refuse(self, name: str, code: str, message: str) -> None:
        self.cleaning.issues.append(FieldIssue(name, code, message))


def unique_values(entity: Entity, records: Sequence[Any]) -> dict[int, set[tuple[str, str]]]:
    """Record id → (name, value as JSON) of its unique fields, custom ones under `custom_fields.<key>`."""
    some = any(record.custom_fields for record in records)
    keys = [d.key for d in custom.all_definitions(entity) if d.unique] if some else []
    plain = [column for column in entity_of(entity.model).columns if column.unique]
    found: dict[int, set[tuple[str, str]]] = {}
    for record in records:
        given = {c.path: getattr(record, c.path) for c in plain if getattr(record, c.path)}
        given |= {custom.PREFIX + k: record.custom_fields[k] for k in keys if k in record.custom_fields}
        found[record.pk] = {(name, json.dumps(value)) for name, value in given.items()}
    return found


def taken(entity: Entity, pk: int, values: set[tuple[str, str]]) -> bool:
    """Whether records other than `pk` have one of these unique values."""
    return any(_is_held(entity, name, json.loads(value), pk) for name, value in sorted(values))


def _is_held(entity: Entity, name: str, value: Any, pk: int | None) -> bool:
    """Whether a living record other than `pk` has this value of a field."""
    if name.startswith(custom.PREFIX):
        return is_taken(entity, name.removeprefix(custom.PREFIX), value, {"id": pk})
    return entity.model.objects.filter(**{name: value}, archived_at=None).exclude(pk=pk).exists()


def is_taken(entity: Entity, key: str, value: Any, before: Mapping[str, Any] | None) -> bool:
    """Whether another record has this value of a unique custom field.

    Takes the field's lock until the transaction ends, so that two writers of one value cannot both pass.
    """
    lock(UNIQUE_FIELD, f"{entity.name}.{key}")
    others = entity.model.objects.filter(custom_fields__contains={key: value}, archived_at=None)
    return others.exclude(pk=before["id"] if before else None).exists()
