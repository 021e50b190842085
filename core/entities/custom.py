"""Custom fields as columns: defined in a table, stored in `custom_fields`, used like any other."""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, models
from django.db.models import Case, Func, Value, When
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Cast

from core import prepared
from core.entities import field_types
from core.entities.columns import Column
from core.entities.entity import CUSTOM_PREFIX, Entity
from core.entities.field_types import FieldType
from core.entities.models import CustomField

PREFIX = CUSTOM_PREFIX
Type = CustomField.Type

_OUTPUT: dict[str, models.Field] = {
    Type.NUMBER: models.DecimalField(max_digits=30, decimal_places=6),
    Type.MONEY: models.DecimalField(max_digits=30, decimal_places=2),
    Type.DATE: models.DateField(),
    Type.DATETIME: models.DateTimeField(),
    Type.BOOLEAN: models.BooleanField(),
    Type.USER: models.BigIntegerField(),
}


def field_type_of(definition: CustomField) -> FieldType:
    """The field type that checks values of a custom field; equal definitions share one."""
    return _field_type(definition.type, tuple(definition.choices))


@lru_cache(maxsize=1_000)
def _field_type(word: str, choices: tuple[str, ...]) -> FieldType:
    return _FIELD_TYPES[word](choices)


_FIELD_TYPES: dict[str, Callable[[tuple[str, ...]], FieldType]] = {
    Type.TEXT: lambda _: field_types.Text(max_length=5_000),
    Type.NUMBER: lambda _: field_types.Number(max_digits=21, decimal_places=6),
    Type.MONEY: lambda _: field_types.Money(),
    Type.DATE: lambda _: field_types.Date(),
    Type.DATETIME: lambda _: field_types.DateTime(),
    Type.BOOLEAN: lambda _: field_types.Boolean(),
    Type.CHOICE: lambda choices: field_types.Choice(choices, ours=False),
    Type.MULTI_CHOICE: field_types.MultiChoice,
    Type.USER: lambda _: field_types.Reference(target="user"),
    Type.URL: lambda _: field_types.Url(),
}


def _expression(definition: CustomField) -> Any:
    """The value in `custom_fields` as its own SQL type, so that it orders and compares as such."""
    if definition.type == Type.MULTI_CHOICE:
        return KeyTransform(definition.key, "custom_fields")
    text = Cast(KeyTextTransform(definition.key, "custom_fields"), models.TextField())
    output = _OUTPUT.get(definition.type)
    return _readable(text, output) if output else text


def _readable(text: Any, output: models.Field) -> Any:
    """`text` as a type, null where plain SQL left something there that is none: one such row must not make
    every list that looks at the field fail."""
    is_valid = Func(
        text,
        Value(output.db_type(connection)),
        function="pg_input_is_valid",
        output_field=models.BooleanField(),
    )
    return Case(When(is_valid, then=Cast(text, output)))


def custom_column(definition: CustomField, *, locked: bool = False) -> Column:
    """The column of a custom field, named `custom_fields.<key>`; one that is `locked` may only be read."""
    return Column(
        name=PREFIX + definition.key,
        field_type=field_type_of(definition),
        path=definition.key,
        label=definition.label,
        required=definition.required,
        writable=not locked,
        locked=locked,
        custom=True,
        unique=definition.unique,
        searchable=definition.searchable,
        default=definition.default,
        expression=_expression(definition),
        help_text=definition.help_text,
        orderable=definition.type != Type.MULTI_CHOICE,
    )


def custom_columns(entity: Entity) -> list[Column]:
    """The columns of an entity's custom fields, in their order, as whom it is limited for may use them."""
    return [custom_column(one, locked=one.key in entity.locked_keys) for one in definitions(entity)]


def definitions(entity: Entity) -> list[CustomField]:
    """The custom fields of an entity that are not hidden, in their order."""
    return [one for one in all_definitions(entity) if one.key not in entity.hidden_keys]


def all_definitions(entity: Entity) -> list[CustomField]:
    """All custom fields of an entity, in their order: one query, whose text is made once. Making it at each
    request costs more than running it does."""
    with prepared.cursor(DEFAULT_DB_ALIAS) as cursor:
        cursor.execute(_statement(), [entity.name])
        rows = cursor.fetchall()
    return [CustomField.from_db(DEFAULT_DB_ALIAS, _NAMES, _loaded(row)) for row in rows]


@lru_cache(maxsize=1)
def _statement() -> str:
    return CustomField.objects.filter(entity="").query.sql_with_params()[0]


_NAMES = [f.attname for f in CustomField._meta.concrete_fields]
_DEFAULT = _NAMES.index("default")


def _loaded(row: Sequence[Any]) -> list[Any]:
    """A row whose JSON is read."""
    values = list(row)
    if values[_DEFAULT] is not None:
        values[_DEFAULT] = json.loads(values[_DEFAULT])
    return values


def schema(entity: Entity, *, names: Iterable[str] | None = None) -> dict[str, Column]:
    """All columns by name, the custom ones too. `names`, when given, says which are asked for: the table of
    definitions is only read when a custom one is among them."""
    if names is not None and not any(name.startswith(PREFIX) for name in names):
        return entity.by_name
    return entity.by_name | {c.name: c for c in custom_columns(entity)}
