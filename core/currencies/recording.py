"""Storing rates so that what is closed is not re-stated without a word.

A rate counts for closed amounts (`closing_rate`) as it was when it was first stored. One of a past day counts
for them where no earlier one does, for it changes no total then; otherwise only if its writer says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import connection

from core.currencies.models import ExchangeRate, base_currency

_STORE = """
INSERT INTO core_exchangerate AS kept
    (base, currency, date, rate, closing_rate, source, created_at, updated_at)
SELECT %(base)s, n.currency, n.date, n.rate,
    CASE WHEN %(restates)s OR n.date >= %(today)s OR NOT EXISTS (
        SELECT FROM core_exchangerate e WHERE e.base = %(base)s AND e.currency = n.currency
          AND e.date < n.date AND e.closing_rate IS NOT NULL
    ) THEN n.rate END,
    %(source)s, now(), now()
FROM unnest(%(currencies)s::text[], %(dates)s::date[], %(rates)s::numeric[]) AS n (currency, date, rate)
ON CONFLICT (base, currency, date) DO UPDATE SET
    rate = EXCLUDED.rate, source = EXCLUDED.source, updated_at = now(),
    closing_rate = CASE WHEN %(restates)s OR EXCLUDED.date > %(today)s THEN EXCLUDED.rate
                   ELSE kept.closing_rate END
WHERE %(replaces)s
  AND (kept.rate <> EXCLUDED.rate OR %(restates)s AND kept.closing_rate IS DISTINCT FROM EXCLUDED.rate)
RETURNING kept.closing_rate = kept.rate
"""


@dataclass(frozen=True)
class DatedRate:
    """How much of the organisation's currency one unit of `currency` costs from `date` on."""

    currency: str
    date: date
    rate: Decimal


@dataclass(frozen=True)
class Stored:
    """How many rates were written, and how many of these count for open amounts alone."""

    written: int
    open_only: int


def store(
    rates: Sequence[DatedRate], source: str, today: date, *, restates: bool = False, replaces: bool = True
) -> Stored:
    """Store rates of distinct currencies and days in one statement; without `replaces` those that are there
    stay."""
    given: dict[str, Any] = {
        "base": base_currency(),
        "today": today,
        "source": source,
        "restates": restates,
        "replaces": replaces,
        "currencies": [rate.currency for rate in rates],
        "dates": [rate.date for rate in rates],
        "rates": [rate.rate for rate in rates],
    }
    with connection.cursor() as cursor:
        cursor.execute(_STORE, given)
        settled = [row[0] for row in cursor.fetchall()]
    return Stored(len(settled), sum(1 for counts in settled if not counts))


def settle(rate: ExchangeRate, today: date, *, restates: bool) -> None:
    """Set what closed amounts count by, of a rate about to be stored."""
    if restates or rate.date > today or (rate.pk is None and _counts_for_closed(rate, today)):
        rate.closing_rate = rate.rate


def _counts_for_closed(rate: ExchangeRate, today: date) -> bool:
    earlier = ExchangeRate.objects.filter(
        base=rate.base, currency=rate.currency, date__lt=rate.date, closing_rate__isnull=False
    )
    return rate.date >= today or not earlier.exists()
