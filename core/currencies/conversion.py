"""Amounts of several currencies as a total in one, at the rates of their days.

Rows are groups that a queryset has summed by currency, day and whether they are closed; `dated` names these
keys. An open amount counts by today's rate, a closed one by that of the day when it was closed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import BooleanField, Case, DateField, F, Q, QuerySet, Value, When

from core.currencies.models import base_currency
from core.models.money import RATE_PLACES, rounded

GROUPED_BY = ("currency", "rate_day", "is_closed")
# Rates that an answer names; there may be one for each day of many years.
NAMED = 500
_RATES = """
SELECT a.currency, a.day, a.closed, own.rate / target.rate, least(own.date, target.date)
FROM unnest(%(currencies)s::text[], %(days)s::date[], %(closed)s::boolean[])
    AS a (currency, day, closed)
CROSS JOIN LATERAL ({own}) own CROSS JOIN LATERAL ({target}) target
"""
# The latest one by that day; closed amounts pass over those that came too late for them. Days before the
# first rate, and currencies without any, have none.
_LATEST = """
SELECT 1::numeric AS rate, NULL::date AS date WHERE {currency} = %(base)s
UNION ALL (
    SELECT CASE WHEN a.closed THEN r.closing_rate ELSE r.rate END, r.date FROM core_exchangerate r
    WHERE r.base = %(base)s AND r.currency = {currency} AND {currency} <> %(base)s AND r.date <= a.day
      AND NOT (a.closed AND r.closing_rate IS NULL)
    ORDER BY r.date DESC LIMIT 1
)
"""
_STATEMENT = _RATES.format(
    own=_LATEST.format(currency="a.currency"), target=_LATEST.format(currency="%(target)s")
)
Row = Mapping[str, Any]
Key = tuple[str, date, bool]


def dated(rows: QuerySet, is_open: Q, closed_on: str, today: date) -> QuerySet:
    """`rows` with the day by whose rate each counts, and whether it is closed."""
    day = Case(When(is_open, then=Value(today)), default=F(closed_on), output_field=DateField())
    closed = Case(When(is_open, then=Value(False)), default=Value(True), output_field=BooleanField())
    return rows.annotate(rate_day=day, is_closed=closed)


@dataclass(frozen=True)
class UsedRate:
    """What one unit of the row's currency is in the target's, and the day of the rate (None: none needed)."""

    rate: Decimal
    date: date | None


class CurrencyConversion:
    """The rates by which `rows` are converted to the currency `to`, read by one statement."""

    def __init__(self, to: str, rows: Iterable[Row]) -> None:
        self.to = to
        keys = {_key(row) for row in rows if row["count"]}
        self.rates = _read(to, sorted(key for key in keys if key[0] != to))

    def total(self, names: Sequence[str], rows: Iterable[Row]) -> dict[str, Any]:
        """The sums `names` of the rows as one in the currency, and by currency those that have no rate."""
        sums: dict[str, Any] = dict.fromkeys(names, Decimal(0))
        without: dict[str, dict[str, Any]] = {}
        count = 0
        for row in rows:
            rate = self.of(row)
            if not row["count"]:
                continue
            if rate is None:
                _add(without.setdefault(row["currency"], {"count": 0}), names, row, Decimal(1))
            else:
                count += row["count"]
                _add(sums, names, row, rate)
        return {
            "currency": self.to,
            "count": count,
            **{name: rounded(sums[name], self.to) for name in names},
            "without_rate": {
                currency: {
                    "count": found["count"],
                    **{name: rounded(found[name], currency) for name in names},
                }
                for currency, found in sorted(without.items())
            },
        }

    def of(self, row: Row) -> Decimal | None:
        """What the row's amounts are multiplied by; None where there is no rate."""
        if row["currency"] == self.to:
            return Decimal(1)
        found = self.rates.get(_key(row))
        return found.rate if found else None

    def named(self) -> dict[str, Any]:
        """The rates used, the newest first, and how many there are."""
        used = {(c, found.date, found.rate, closed) for (c, _, closed), found in self.rates.items()}
        newest = sorted(used, key=lambda one: (one[1] or date.max, one[0], one[3]), reverse=True)
        return {
            "rates": [
                {"currency": currency, "date": day, "rate": _shown(rate), "closed": closed}
                for currency, day, rate, closed in newest[:NAMED]
            ],
            "rates_count": len(used),
        }


def _add(sums: dict[str, Any], names: Sequence[str], row: Row, rate: Decimal) -> None:
    for name in names:
        sums[name] = sums.get(name, 0) + row[name] * rate
    if "count" in sums:
        sums["count"] += row["count"]


def _key(row: Row) -> Key:
    return row["currency"], row["rate_day"], row["is_closed"]


def _shown(rate: Decimal) -> str:
    return f"{round(rate, RATE_PLACES).normalize():f}"


def _read(to: str, keys: Sequence[Key]) -> dict[Key, UsedRate]:
    if not keys:
        return {}
    currencies, days, closed = (list(column) for column in zip(*keys, strict=True))
    given: dict[str, Any] = {
        "currencies": currencies,
        "days": days,
        "closed": closed,
        "target": to,
        "base": base_currency(),
    }
    with connection.cursor() as cursor:
        cursor.execute(_STATEMENT, given)
        return {(c, day, is_closed): UsedRate(rate, on) for c, day, is_closed, rate, on in cursor.fetchall()}
