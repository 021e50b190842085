"""From a checked condition to a Q, over records or over rows of the change table.

Every leaf is true or false, never null: "not" gives what "is" leaves over, rows without a value included.

`user` is who asks, and None the system: what a reference points at and they do not see counts as nothing, so
that no condition tells them about it.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import partial, reduce
from operator import and_, or_
from typing import Any

from django.db import models
from django.db.models import Exists, OuterRef, Q, QuerySet, Value
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Cast
from django.db.models.lookups import Contains, EndsWith, IsNull, StartsWith

from core.access import scopes
from core.conditions.grammar import SPANS, ChangedPredicate, Condition, Group, Leaf, Negation, fields_of
from core.conditions.narrowing import narrowing_q
from core.conditions.related import RelatedColumn, target_of
from core.conditions.relative_dates import RelativeDate, WholeDay
from core.entities import field_types
from core.entities.columns import Column
from core.entities.entity import Entity, entities
from core.entities.finding import number_in
from core.entities.reading import resource_named
from core.entities.references import seen
from core.models.folding import Digits, Fold

LOOKUPS = {
    "eq": "exact",
    "in": "in",
    "lt": "lt",
    "lte": "lte",
    "gt": "gt",
    "gte": "gte",
    "before": "lt",
    "after": "gt",
}
# Fewer digits than a subscriber's number has would be the end of many.
LOCAL_NUMBER = 7
# Of text, whatever its case, accents and width; of phone numbers, their digits.
PARTS = {"contains": Contains, "starts_with": StartsWith, "ends_with": EndsWith}
NEGATED = {"ne": "eq", "not_in": "in", "has_none": "has_any"}


def record_q(condition: Condition, zone: Any = None, *, user: Any) -> Q:
    """The records that meet a condition without change operators.

    `zone` is SQL that names the time zone in which days are meant for each record; without it they are meant
    in the current one.
    """
    if isinstance(condition, Negation):
        return ~record_q(condition.child, zone, user=user)
    if isinstance(condition, Group):
        return _joined(condition.word, [record_q(child, zone, user=user) for child in condition.children])
    return leaf_q(condition, zone, user=user)


def change_q(entity: Entity, condition: Condition, zone: Any = None, *, user: Any) -> Q:
    """The rows of the change table whose change, and whose record as it is now, meet the condition.

    Parts that speak of the record alone become one EXISTS over its table; `zone` is as for `record_q`.
    """
    if not any(isinstance(leaf, ChangedPredicate) for leaf in fields_of(condition)):
        return _record_exists(entity, condition, zone, user)
    if isinstance(condition, Negation):
        return ~change_q(entity, condition.child, zone, user=user)
    if isinstance(condition, Group):
        parts = [change_q(entity, child, zone, user=user) for child in condition.children]
        return _joined(condition.word, parts)
    return _changed_q(condition)


def _record_exists(entity: Entity, condition: Condition, zone: Any, user: Any) -> Q:
    if not list(fields_of(condition)):
        return Q()
    rows = entity.model.objects.filter(pk=OuterRef("object_id")).filter(record_q(condition, zone, user=user))
    return Q(Exists(rows))


def _changed_q(leaf: Leaf) -> Q:
    """`changes` maps a column to [old, new]; of a creation it is empty, so nothing "changed" in it.

    A list changed to an item when it got it, and from an item when it lost it.
    """
    path = leaf.column.path
    changed = Q(changes__has_key=path)
    if leaf.op == "changed":
        return changed
    side, other = (1, 0) if leaf.op == "changed_to" else (0, 1)
    if isinstance(leaf.column.field_type, field_types.TextList):
        holds = {f"changes__{path}__{i}__contains": [leaf.value] for i in (side, other)}
        here, there = holds.items()
        return changed & Q(here) & ~Q(there)
    text = KeyTextTransform(str(side), KeyTransform(path, "changes"))
    then = Cast(text, _sql_type(leaf.column.field_type))
    return changed & _compared(partial(_known, then), "exact", leaf.value)


_SQL_TYPES: list[tuple[Any, models.Field]] = [
    (field_types.Integer | field_types.Reference, models.BigIntegerField()),
    (field_types.Money, models.DecimalField(max_digits=30, decimal_places=6)),
    (field_types.Float, models.FloatField()),
    (field_types.Boolean, models.BooleanField()),
    (field_types.Date, models.DateField()),
    (field_types.DateTime, models.DateTimeField()),
]


def _sql_type(field_type: field_types.FieldType) -> models.Field:
    """What JSON text of a change is compared as."""
    return next((made for found, made in _SQL_TYPES if isinstance(field_type, found)), models.TextField())


def _joined(word: str, parts: list[Q]) -> Q:
    return reduce(and_ if word == "all" else or_, parts, Q())


def leaf_q(leaf: Leaf, zone: Any = None, *, user: Any) -> Q:
    """One leaf as a Q; `zone` is as for `record_q`."""
    if isinstance(leaf.column, RelatedColumn):
        return _related_q(leaf.column, leaf.op, leaf.value, zone, user)
    return _own_q(leaf, zone)


def _related_q(column: RelatedColumn, op: str, value: Any, zone: Any, user: Any) -> Q:
    """That the record which a reference points at is seen and meets a leaf. What is a negation of a leaf is
    that of this as a whole, so that nothing, an empty field and what is not seen are the same.

    The days of a relative date are then those of that record.
    """
    if op in NEGATED:
        return ~_related_q(column, NEGATED[op], value, zone, user)
    if op == "is_empty" and value:
        return ~_related_q(column, op, False, zone, user)
    leaf, target = Leaf(column.far, op, value), target_of(column.reference)
    scopes.require(user, resource_named(target))
    rows = seen(target, user).filter(_own_q(leaf, zone))
    if target in entities:
        rows = rows.filter(narrowing_q(entities[target], leaf))
    return _points_at(column.reference, rows)


def _points_at(reference: Column, rows: QuerySet) -> Q:
    """That a reference points at one of the rows."""
    if reference.expression is None:
        return Q(Exists(rows.filter(pk=OuterRef(reference.path))))
    return _known(reference.expression, "in", rows.order_by().values("pk"))


def _own_q(leaf: Leaf, zone: Any) -> Q:
    """A leaf about the record itself."""
    if leaf.op in NEGATED:
        positive = Leaf(leaf.column, NEGATED[leaf.op], leaf.value)
        return ~_own_q(positive, zone) | _empty(leaf.column)
    if leaf.op in SPANS:
        return _within(leaf, zone)
    if leaf.op == "eq" and isinstance(leaf.column.field_type, field_types.Phone):
        return _same_number(leaf.column, leaf.value)
    if leaf.op in PARTS:
        return _part(leaf.column, leaf.op, leaf.value)
    if leaf.op == "between":
        return _between(leaf.column, leaf.value, zone)
    special = _SPECIAL.get(leaf.op)
    if special:
        return special(leaf.column, leaf.value)
    return _lookup(leaf.column, LOOKUPS[leaf.op], leaf.value, zone)


def _lookup(column: Column, lookup: str, value: Any, zone: Any = None) -> Q:
    return _compared(partial(_plain_lookup, column), lookup, value, zone)


def _compared(compare: Callable[[str, Any], Q], lookup: str, value: Any, zone: Any = None) -> Q:
    """`compare(lookup, value)`, what is relative resolved and whole days taken as such."""
    if isinstance(value, list) and any(isinstance(item, WholeDay | RelativeDate) for item in value):
        return reduce(or_, [_compared(compare, "exact", item, zone) for item in value])
    if isinstance(value, WholeDay):
        return _within_day(compare, lookup, *value.bounds(zone))
    return compare(lookup, value.resolve(zone) if isinstance(value, RelativeDate) else value)


def _within_day(compare: Callable[[str, Any], Q], lookup: str, start: Any, end: Any) -> Q:
    """A time compared with the day from `start` up to `end`."""
    if lookup == "exact":
        return compare("gte", start) & compare("lt", end)
    bounds = {"lt": ("lt", start), "lte": ("lt", end), "gt": ("gte", end), "gte": ("gte", start)}
    return compare(*bounds[lookup])


def _plain_lookup(column: Column, lookup: str, value: Any) -> Q:
    """`column lookup value`; the path comes from the registry, never from the user."""
    if column.expression is None:
        return Q(**{f"{column.path}__{lookup}": value})
    if column.custom and lookup == "exact":
        return _contains_key(column, value)
    return _known(column.expression, lookup, value)


def _part(column: Column, op: str, value: str) -> Q:
    """That a text holds, begins or ends with `value`."""
    number = number_in(column, value)
    sides = (Digits(column.target), number) if number else (Fold(column.target), Fold(Value(value)))
    found = Q(PARTS[op](*sides))
    return found if column.expression is None else found & Q(IsNull(column.expression, False))


def _same_number(column: Column, value: str) -> Q:
    """That a number is `value`: as it is stored, or, without a country's code, ending in its digits."""
    found = _lookup(column, "exact", value)
    number = "" if value.startswith("+") else number_in(column, value)
    return found | _part(column, "ends_with", value) if len(number) >= LOCAL_NUMBER else found


def _known(expression: Any, lookup: str, value: Any) -> Q:
    """`expression lookup value`, false where there is no value (Django sees to that for columns only)."""
    made = expression.output_field.get_lookup(lookup)
    return Q(made(expression, value)) & Q(IsNull(expression, False))


def _contains_key(column: Column, value: Any) -> Q:
    """Equality on a custom field by containment, which the GIN index answers."""
    return Q(custom_fields__contains={column.path: column.field_type.to_representation(value)})


def _is_empty(column: Column, wanted: bool) -> Q:
    return _empty(column) if wanted else ~_empty(column)


def _empty(column: Column) -> Q:
    """No value: null, blank text or an empty list."""
    if column.custom:
        return ~Q(custom_fields__has_key=column.path)
    if column.expression is not None:
        return Q(IsNull(column.expression, True))
    empty = Q(**{f"{column.path}__isnull": True})
    if column.empty is None:
        return empty
    return empty | Q(**{column.path: column.empty})


def _between(column: Column, ends: list[Any], zone: Any = None) -> Q:
    low, high = ends
    return _lookup(column, "gte", low, zone) & _lookup(column, "lte", high, zone)


def _has_any(column: Column, items: list[Any]) -> Q:
    if column.custom:
        return reduce(or_, [Q(custom_fields__contains={column.path: [item]}) for item in items])
    return Q(**{f"{column.path}__overlap": items})


def _has_all(column: Column, items: list[Any]) -> Q:
    if column.custom:
        return Q(custom_fields__contains={column.path: items})
    return Q(**{f"{column.path}__contains": items})


def _within(leaf: Leaf, zone: Any) -> Q:
    """Between now and as far from now as the span is long."""
    length = leaf.value.length
    offsets = (-length, timedelta(0)) if leaf.op == "within_last" else (timedelta(0), length)
    return _between(
        leaf.column, [RelativeDate(leaf.column.field_type, offset).resolve(zone) for offset in offsets]
    )


_SPECIAL: dict[str, Callable[[Column, Any], Q]] = {
    "is_empty": _is_empty,
    "has_any": _has_any,
    "has_all": _has_all,
}
