"""Figures of records by group: what `group_by` and `metrics` of statistics ask for."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any

from django.db.models import (
    Aggregate,
    Avg,
    Case,
    Count,
    DateField,
    DateTimeField,
    F,
    Max,
    Min,
    QuerySet,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Trunc
from django.db.models.lookups import GreaterThan, LessThan
from django.utils.translation import gettext

from core.access import scopes
from core.entities import field_types
from core.entities.columns import Column
from core.entities.custom import schema
from core.entities.entity import Entity
from core.entities.money import CURRENCY_FIELD
from core.entities.reading import nested_refs, resource_named
from core.errors import InvalidError
from core.models.money import rounded

MOST_DIMENSIONS, MOST_METRICS, MOST_GROUPS = 2, 10, 1_000
TEAM = "team"
UNITS = ("day", "week", "month", "quarter", "year")
FUNCTIONS: dict[str, type[Aggregate]] = {"sum": Sum, "avg": Avg, "min": Min, "max": Max}
# Of averages of numbers that are no money.
MEAN_PLACES = 6
# Longer texts are prose, of which no two are the same.
LONGEST_TEXT = 255
NUMBERS = (field_types.Integer, field_types.Float, field_types.Number, field_types.Money)
# Texts of which each record has its own.
ADDRESSES = (field_types.Email, field_types.Phone, field_types.Url)
# Numbers that count nothing.
NO_MEASURES = frozenset(("id", "version"))
Labels = Callable[[Collection[Any]], dict[Any, str]]


@dataclass(frozen=True)
class Dimension:
    """One thing to group by: its name, the expression it is read from, and what its values are called."""

    name: str
    expression: Any
    labels: Labels

    def shown(self, value: Any, labels: dict[Any, str]) -> dict[str, Any]:
        """A value of it as figures show it; null where there is none. A name that the user does not see is
        left blank."""
        empty = value is None or value == ""
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return {
            "field": self.name,
            "value": None if empty else text,
            "label": "" if empty else labels.get(value, ""),
        }


@dataclass(frozen=True)
class Metric:
    """A figure of each group: `sum_amount` is the sum of the column `amount`."""

    name: str
    column: Column
    function: type[Aggregate]

    @property
    def is_money(self) -> bool:
        # Plain numbers are a type of their own on top of it.
        return type(self.column.field_type) is field_types.Money

    @property
    def aggregate(self) -> Any:
        return self.function(self.column.target)


# ---- What may be asked for ----


def dimensions(entity: Entity, names: Sequence[str], user: Any) -> list[Dimension]:
    """What records of `entity` are grouped by. Raises InvalidError, or ScopeMissingError where the key of
    `user` may not read what a name refers to."""
    check_names("group_by", names, MOST_DIMENSIONS)
    return [dimension(entity, name, user) for name in names]


def check_names(parameter: str, names: Sequence[str], most: int) -> None:
    """Raises InvalidError for too many names, and for one that is there twice."""
    if len(names) > most:
        raise InvalidError.of(parameter, gettext("At most %(most)s names.") % {"most": most}, "too_many")
    if len(set(names)) < len(names):
        raise InvalidError.of(parameter, gettext("Each name once."), "duplicate")


def dimension(entity: Entity, name: str, user: Any) -> Dimension:
    """A column of few values, `team` (the owner's), or a date by unit: `created_at__month`, in the user's
    zone. Raises InvalidError and ScopeMissingError."""
    columns = _columns(entity, name)
    # A custom field's key may hold two underscores itself.
    field, _, unit = (name, "", "") if name in columns else name.rpartition("__")
    column = columns.get(field)
    if column is None and name == TEAM:
        return _referring(name, F("owner__team_id"), TEAM, user)
    if column is None or not _is_groupable(column, unit):
        raise InvalidError.of(
            "group_by",
            gettext("Unknown. Known: %(names)s.") % {"names": ", ".join(groupable(entity))},
            "invalid_choice",
        )
    if isinstance(column.field_type, field_types.Reference):
        return _referring(name, column.target, column.field_type.target, user)
    if unit:
        return Dimension(name, _truncated(column, unit, user.zone), _as_written)
    return Dimension(name, column.target, _as_written)


def _columns(entity: Entity, *names: str) -> dict[str, Column]:
    return {name: one for name, one in schema(entity, names=names or None).items() if one.filterable}


def _is_groupable(column: Column, unit: str) -> bool:
    kind = column.field_type
    if isinstance(kind, field_types.Date | field_types.DateTime):
        return unit in UNITS
    if isinstance(kind, field_types.Text) and not isinstance(kind, ADDRESSES):
        return not unit and (kind.max_length or LONGEST_TEXT + 1) <= LONGEST_TEXT and not column.exact
    return not unit and isinstance(kind, field_types.Choice | field_types.Boolean | field_types.Reference)


def groupable(entity: Entity) -> list[str]:
    """The names that records may be grouped by; dates stand with one unit of several."""
    found = [
        name if _is_groupable(one, "") else f"{name}__{UNITS[2]}"
        for name, one in _columns(entity).items()
        if _is_groupable(one, "") or _is_groupable(one, UNITS[2])
    ]
    return found if TEAM in found else [*found, TEAM]


def _referring(name: str, expression: Any, target: str, user: Any) -> Dimension:
    scopes.require(user, resource_named(target))

    def labels(ids: Collection[Any]) -> dict[Any, str]:
        known = nested_refs(target, {pk for pk in ids if pk is not None}, user)
        return {pk: str(row.get("full_name") or row.get("name")) for pk, row in known.items()}

    return Dimension(name, expression, labels)


def _truncated(column: Column, unit: str, zone: tzinfo) -> Any:
    """The first day of the period that a date or a moment falls into."""
    if not isinstance(column.field_type, field_types.DateTime):
        return Trunc(column.target, unit, output_field=DateField())
    moment = Case(
        When(GreaterThan(column.target, _LAST), then=_LAST),
        When(LessThan(column.target, _FIRST), then=_FIRST),
        default=column.target,
        output_field=DateTimeField(),
    )
    return Trunc(moment, unit, output_field=DateField(), tzinfo=zone)


# Beyond these PostgreSQL has no date for a moment in some zone.
_FIRST, _LAST = (
    Value(moment, DateTimeField())
    for moment in (datetime(1, 1, 3, tzinfo=UTC), datetime(9999, 12, 29, tzinfo=UTC))
)


def _as_written(values: Collection[Any]) -> dict[Any, str]:
    return {value: str(value).lower() if isinstance(value, bool) else str(value) for value in values}


def metrics(entity: Entity, names: Sequence[str]) -> list[Metric]:
    """What is measured of each group: `sum_`, `avg_`, `min_` or `max_` and a column of numbers. Raises
    InvalidError."""
    check_names("metrics", names, MOST_METRICS)
    return [_metric(entity, name) for name in names]


def _metric(entity: Entity, name: str) -> Metric:
    function, _, field = name.partition("_")
    column = _columns(entity, field).get(field)
    if function not in FUNCTIONS or column is None or not _is_measure(column):
        known = ", ".join(measurable(entity))
        message = gettext("Unknown. Known: %(names)s, each with an underscore and one of %(known)s.") % {
            "names": ", ".join(FUNCTIONS),
            "known": known,
        }
        raise InvalidError.of("metrics", message, "invalid_choice")
    return Metric(name, column, FUNCTIONS[function])


def _is_measure(column: Column) -> bool:
    return isinstance(column.field_type, NUMBERS) and column.name not in NO_MEASURES


def measurable(entity: Entity) -> list[str]:
    """The columns that may be measured."""
    return [name for name, one in _columns(entity).items() if _is_measure(one)]


# ---- The figures ----


def grouped(
    entity: Entity, rows: QuerySet, by: Sequence[Dimension], measured: Sequence[Metric]
) -> list[dict[str, Any]]:
    """A row for each group that has any records, the largest first: how many, and what is measured. Money is
    summed for each currency: one more query. Raises InvalidError where there are too many groups."""
    money = [one for one in measured if one.is_money and CURRENCY_FIELD in entity.by_name]
    plain = [one for one in measured if one not in money]
    counted = _aggregated(rows, by, plain)
    if len(counted) > MOST_GROUPS:
        message = gettext(
            "More than %(most_groups)s groups; filter the records or group by something else."
        ) % {"most_groups": MOST_GROUPS}
        raise InvalidError.of("group_by", message, "too_many")
    sums = _by_currency(rows, by, money) if money else {}
    labels = [one.labels({row[_GROUPS[place]] for row in counted}) for place, one in enumerate(by)]
    return [
        {
            "groups": [one.shown(row[_GROUPS[place]], labels[place]) for place, one in enumerate(by)],
            "count": row["group_count"],
            "metrics": {one.name: _number(row[f"metric_{n}"]) for n, one in enumerate(plain)},
            "by_currency": sums.get(_key(row, by), {}),
        }
        for row in sorted(counted, key=lambda row: (-row["group_count"], [str(v) for v in _key(row, by)]))
    ]


_GROUPS = ("group_1", "group_2")


def _aggregated(
    rows: QuerySet, by: Sequence[Dimension], measured: Sequence[Metric], *more: str
) -> list[dict[str, Any]]:
    """A row of aggregates for each group, and each value of `more`; at most one more than may be shown."""
    figures = {"group_count": Count("pk")} | {f"metric_{n}": one.aggregate for n, one in enumerate(measured)}
    names = [*_GROUPS[: len(by)], *more]
    if not names:
        return [rows.order_by().aggregate(**figures)]
    groups = {name: one.expression for name, one in zip(_GROUPS, by, strict=False)}
    found = rows.order_by().annotate(**groups).values(*names).annotate(**figures)
    return list(found if more else found[: MOST_GROUPS + 1])


def _by_currency(
    rows: QuerySet, by: Sequence[Dimension], measured: Sequence[Metric]
) -> dict[tuple[Any, ...], dict[str, Any]]:
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in _aggregated(rows, by, measured, CURRENCY_FIELD):
        currency = row[CURRENCY_FIELD]
        values = {one.name: row[f"metric_{n}"] for n, one in enumerate(measured)}
        if any(value is not None for value in values.values()):
            found.setdefault(_key(row, by), {})[currency] = {
                name: None if value is None else rounded(value, currency) for name, value in values.items()
            }
    return {key: dict(sorted(sums.items())) for key, sums in found.items()}


def _key(row: dict[str, Any], by: Sequence[Dimension]) -> tuple[Any, ...]:
    return tuple(row[name] for name in _GROUPS[: len(by)])


def _number(value: Any) -> float | int | None:
    """A figure that is no money, as JSON has it."""
    if isinstance(value, Decimal):
        value = float(value)
    return round(value, MEAN_PLACES) if isinstance(value, float) else value
