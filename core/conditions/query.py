"""Query parameters as conditions: `?status=new,contacted&lead_score__gte=50&overdue=true`."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Q

from core.conditions.compiling import leaf_q
from core.conditions.grammar import LISTS, Leaf, operand
from core.conditions.narrowing import narrowing_q
from core.conditions.relative_dates import UNITS
from core.entities import field_types
from core.entities.columns import Column
from core.entities.custom import schema
from core.entities.entity import Entity
from core.errors import FieldIssue, InvalidError, ValueRefusedError

MAX_LENGTH = 5_000


def filters_of(entity: Entity, params: Mapping[str, str], user: Any) -> Q:
    """The conjunction of all filters in `params`. Raises InvalidError naming each bad parameter."""
    columns = schema(entity, names=params)
    issues: list[FieldIssue] = []
    found = Q()
    for name, text in params.items():
        try:
            found &= _filter(entity, columns, name, text, user)
        except ValueRefusedError as error:
            issues.append(FieldIssue(name[:120], error.code, error.message))
    if issues:
        raise InvalidError(issues)
    return found


def known_filters(entity: Entity, columns: Mapping[str, Column]) -> list[str]:
    """The names a list can be filtered by, without their operators."""
    return sorted([*entity.filters, *(n for n, c in columns.items() if c.filterable)])


def _filter(entity: Entity, columns: Mapping[str, Column], name: str, text: str, user: Any) -> Q:
    if len(text) > MAX_LENGTH or "\x00" in text:
        raise ValueRefusedError("Too long, or with null characters.", code="invalid")
    special = entity.filters.get(name)
    if special:
        return special.build(_special_value(special.field_type, text), user)
    column, op = _named(entity, columns, name)
    if column is None or not column.filterable:
        known = ", ".join(known_filters(entity, columns))
        raise ValueRefusedError(f"Unknown filter. Known: {known}; each with __operator.", code="unknown")
    leaf = _leaf(column, op, text)
    return leaf_q(leaf) & narrowing_q(entity, leaf)


def _named(entity: Entity, columns: Mapping[str, Column], name: str) -> tuple[Column | None, str | None]:
    """The column and the operator in `lead_score__gte`. A custom field's key may itself hold "__"."""
    known = {**entity.by_input_name, **columns}
    if name in known:
        return known[name], None
    field, _, op = name.rpartition("__")
    return known.get(field), op


def _special_value(kind: field_types.FieldType, text: str) -> Any:
    listed = isinstance(kind, field_types.TextList | field_types.MultiChoice)
    value = kind.to_internal_value(text.split(",") if listed else text)
    if value in ("", []):
        raise ValueRefusedError("A value is needed.", code="blank")
    return value


def _leaf(column: Column, op: str | None, text: str) -> Leaf:
    op = _default_operator(column, text) if op is None else op
    if op not in column.field_type.operators:
        known = ", ".join(column.field_type.operators)
        raise ValueRefusedError(f"Unknown operator {op[:40]!r}. Known: {known}.", code="unknown_operator")
    return Leaf(column, op, operand(column, op, _operand_text(op, text)))


def _default_operator(column: Column, text: str) -> str:
    """Commas mean any of these; a list field given values means any of them."""
    if "has_any" in column.field_type.operators:
        return "has_any"
    return "in" if "," in text and "in" in column.field_type.operators else "eq"


def _operand_text(op: str, text: str) -> Any:
    if op in LISTS or op == "between":
        return [part for part in text.split(",") if part != ""]
    if op in ("within_last", "within_next"):
        return _span(text)
    return text


def _span(text: str) -> Any:
    """`7d`, `12h`, `30m`, `2w` as the object the condition language takes."""
    units = {unit[0]: unit for unit in UNITS}
    if not text[:-1].isascii() or not text[:-1].isdigit() or text[-1:] not in units:
        raise ValueRefusedError("Expected a number and one of m, h, d, w, such as 7d.", code="invalid")
    return {units[text[-1]]: int(text[:-1])}
