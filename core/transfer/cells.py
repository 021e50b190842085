"""Columns as PostgreSQL writes them into CSV cells: readable, disarmed, and read back unchanged."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import CharField, F, Func, TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from core.entities import Column, field_types

# First characters a spreadsheet would run: = + - @ tab CR LF and the full-width forms of the first four.
_CODES = "61,43,45,64,9,13,10,65309,65291,65293,65312"


class _Repeated(Func):
    """A template that needs its expression several times, parameters and all."""

    def as_sql(  # type: ignore[override]  # the stub names each key of the context
        self, compiler: Any, connection: Any, **context: Any
    ) -> tuple[str, Any]:
        sql, params = super().as_sql(compiler, connection, **context)
        return sql, tuple(params) * self.template.count("%(expressions)s")


def _needs_escape(text: str) -> str:
    """SQL: whether a spreadsheet might run the text. Most is settled by its first character; only behind
    apostrophes a second look is needed."""
    return (
        f"(ascii({text}) IN ({_CODES}) OR (ascii({text}) = 39 AND ascii(ltrim({text}, '''')) IN ({_CODES})))"
    )


class Escaped(_Repeated):
    """Text that no spreadsheet takes for a formula (core.transfer.csv_injection)."""

    template = (
        f"CASE WHEN {_needs_escape('%(expressions)s')} THEN '''' || (%(expressions)s)"
        " ELSE (%(expressions)s) END"
    )
    output_field = TextField()


_EMPTY = "CASE WHEN %(expressions)s = '{}' THEN ''"
_JSON = (
    " WHEN array_to_string(%(expressions)s, '') ~ '[][;,|\n\"]|:::' OR '' = ANY(%(expressions)s)"
    " THEN to_json(%(expressions)s)::text"
)
_JOINED = "array_to_string(%(expressions)s, ';')"


class Listed(_Repeated):
    """A list: items between semicolons, or JSON where an item holds what separates them."""

    template = f"{_EMPTY}{_JSON} ELSE {_JOINED} END"
    output_field = TextField()


class EscapedList(_Repeated):
    """A list that no spreadsheet takes for a formula: it begins as its first item does, or as JSON."""

    _FIRST = "(%(expressions)s)[array_lower(%(expressions)s, 1)]"
    template = f"{_EMPTY}{_JSON} WHEN {_needs_escape(_FIRST)} THEN '''' || {_JOINED} ELSE {_JOINED} END"
    output_field = TextField()


class DateTimeCell(Func):
    """A moment in UTC, ISO 8601, to the second: what spreadsheets and people read."""

    template = """to_char(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""
    output_field = CharField()


class PhoneCell(_Repeated):
    """A phone number as `tel:+14155550123` (RFC 3966): a spreadsheet takes it for text, where it would
    compute +14155550123, and other programs know what it is."""

    template = "CASE WHEN %(expressions)s = '' THEN '' ELSE 'tel:' || %(expressions)s END"
    output_field = TextField()


class PhoneItems(Func):
    """The same for each number of a list."""

    template = "ARRAY(SELECT 'tel:' || number FROM unnest(%(expressions)s) AS number)"
    output_field = ArrayField(TextField())


class BooleanCell(Func):
    """true or false, where COPY would write t or f."""

    template = "(%(expressions)s)::text"
    output_field = CharField()


def cell(column: Column, *, escaped: bool = True) -> Any:
    """The expression of a column in an export."""
    return _escape(_plain(column), column) if escaped else _plain(column)


def _escape(plain: Any, column: Column) -> Any:
    numeric = (
        field_types.Integer,
        field_types.Float,
        field_types.Money,
        field_types.Boolean,
        field_types.Date,
        field_types.DateTime,
    )
    ours = isinstance(column.field_type, field_types.Choice) and not column.custom
    if ours or isinstance(column.field_type, numeric):
        return plain
    if isinstance(column.field_type, field_types.Reference) and column.field_type.target != "user":
        return plain
    if isinstance(column.field_type, field_types.Phone):
        return PhoneCell(plain)
    if isinstance(plain, Listed):
        is_phones = isinstance(getattr(column.field_type, "child", None), field_types.Phone)
        return Listed(PhoneItems(column.target)) if is_phones else EscapedList(column.target)
    return Escaped(plain)


def _plain(column: Column) -> Any:
    kind = column.field_type
    if column.custom:
        return KeyTextTransform(column.path, "custom_fields")
    if isinstance(kind, field_types.Reference) and kind.target == "user":
        return F(f"{column.name}__username")
    if isinstance(kind, field_types.DateTime):
        return DateTimeCell(column.target)
    if isinstance(kind, field_types.Boolean):
        return BooleanCell(column.target)
    if isinstance(kind, field_types.TextList):
        return Listed(column.target)
    if isinstance(kind, field_types.Json):
        return Cast(column.target, TextField())
    return column.target
