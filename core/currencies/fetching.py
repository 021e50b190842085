"""Rates from a source: a callable, named by its dotted path in EXCHANGE_RATE_SOURCE, that gives what its
publisher has for the day."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.utils import timezone
from django.utils.module_loading import import_string

from core.changes import audit_context
from core.conf import conf
from core.currencies.models import SMALLEST, ExchangeRate, base_currency
from core.currencies.recording import DatedRate, Stored, store
from core.entities.money import CURRENCY
from core.models.money import RATE_DIGITS, RATE_PLACES

log = logging.getLogger(__name__)
LARGEST = Decimal(10) ** (RATE_DIGITS - RATE_PLACES)


class SourceError(Exception):
    """The source gave no rates; tomorrow it may."""


@dataclass(frozen=True)
class PublishedRate:
    """What one unit of `base` costs in `currency` on a day, as its publisher gives it."""

    base: str
    currency: str
    date: date
    rate: Decimal


Source = Callable[[], Sequence[PublishedRate]]


def fetch() -> Stored:
    """Store what the source publishes. Rates that are there stay, as they were entered or fetched before.

    A publisher's rate counts for what was closed on its day, however late it comes. Raises SourceError;
    ImportError where the setting names nothing.
    """
    source: Source = import_string(conf.EXCHANGE_RATE_SOURCE)
    found = {(rate.currency, rate.date): rate for rate in in_base(source(), base_currency())}
    rates = list(found.values())
    if not rates:
        raise SourceError(f"The source publishes no rate of {base_currency()}.")
    today = timezone.localdate()
    with audit_context(None, source="system"):
        stored = store(rates, ExchangeRate.Source.FEED, today, restates=True, replaces=False)
    log.info("%s exchange rates stored, the newest of %s", stored.written, max(rate.date for rate in rates))
    return stored


def in_base(published: Sequence[PublishedRate], base: str) -> Iterator[DatedRate]:
    """Rates against any currency as rates in `base`: by way of what `base` itself is published at."""
    groups: defaultdict[tuple[str, date], dict[str, Decimal]] = defaultdict(dict)
    for one in published:
        if one.rate > 0:
            groups[one.base, one.date].update({one.base: Decimal(1), one.currency: one.rate})
    for (_, day), per_unit in groups.items():
        if base not in per_unit:
            continue
        for currency, units in per_unit.items():
            rate = round(per_unit[base] / units, RATE_PLACES)
            if currency != base and currency in CURRENCY.folded.values() and SMALLEST <= rate < LARGEST:
                yield DatedRate(currency, day, rate)
