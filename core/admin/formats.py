"""How values are written on admin pages: money with its currency, moments as people say them."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.dates import format_timedelta
from babel.numbers import format_compact_currency, format_currency, format_percent
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext

COMPACT_FROM = 10_000
TONES = ("neutral", "info", "good", "warn", "bad")


def locale() -> Locale:
    """Babel's locale of the present language."""
    try:
        return Locale.parse(get_language() or "en", sep="-")
    except (UnknownLocaleError, ValueError):
        return Locale("en")


def money(amount: Decimal | None, currency: str) -> str:
    """`$16,300`, `$0.50`; "" without an amount."""
    if amount is None:
        return ""
    if amount == amount.to_integral_value():
        return _whole(amount, currency)
    return format_currency(amount, currency, locale=locale())


def _whole(amount: Decimal, currency: str) -> str:
    """In whole units, by the language's own pattern."""
    pattern = locale().currency_formats["standard"].pattern.replace(".00", "")
    return format_currency(amount, currency, format=pattern, locale=locale(), currency_digits=False)


def short_money(amount: Decimal, currency: str) -> str:
    """`$1.2M`, and smaller amounts in whole units."""
    if abs(amount) >= COMPACT_FROM:
        return format_compact_currency(amount, currency, locale=locale(), fraction_digits=1)
    return _whole(amount, currency)


def totals(amounts: Mapping[str, Decimal]) -> str:
    """Amounts by currency, the largest first and never added up: `$1.2M · €300K`."""
    return " · ".join(by_size(amounts)) or "0"


def by_size(amounts: Mapping[str, Decimal]) -> list[str]:
    """Each amount that is not nothing, the largest first."""
    ordered = sorted(amounts.items(), key=lambda item: (-item[1], item[0]))
    return [short_money(amount, currency) for currency, amount in ordered if amount]


def percent(share: float | None) -> str:
    """`60%`; "" without a share."""
    return "" if share is None else format_percent(round(share, 2), locale=locale())


def relative(moment: datetime | None) -> str:
    """`3 days ago`, `in 2 hours`; "" without a moment."""
    if moment is None:
        return ""
    left = moment - timezone.now()
    return format_timedelta(left, granularity="minute", add_direction=True, locale=locale())


def relative_day(day: date | None, today: date | None = None) -> str:
    """`today`, `in 3 days`, `2 weeks ago`; "" without a day."""
    if day is None:
        return ""
    left = day - (today or timezone.localdate())
    if not left.days:
        return gettext("today")
    return format_timedelta(left, granularity="day", add_direction=True, locale=locale())


def when(moment: datetime | date | None) -> SafeString | str:
    """A moment or day as people say it, with the exact one in the reader's zone as its title."""
    if moment is None:
        return ""
    if isinstance(moment, datetime):
        exact = formats.date_format(timezone.localtime(moment), "DATETIME_FORMAT")
        return format_html(
            '<time datetime="{}" title="{}">{}</time>', moment.isoformat(), exact, relative(moment)
        )
    exact = formats.date_format(moment, "DATE_FORMAT")
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', moment.isoformat(), exact, relative_day(moment)
    )


def badge(text: Any, tone: str = "neutral", *, title: Any = "") -> SafeString:
    """A short word in a coloured box; the colour is never all that says it."""
    return format_html('<span class="crm-badge crm-{}" title="{}">{}</span>', tone, title, text)
