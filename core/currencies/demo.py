"""Demo rates: one for each month, as somebody enters them by hand."""

from datetime import timedelta
from decimal import Decimal

from core.currencies.models import ExchangeRate, base_currency
from core.currencies.recording import DatedRate, store
from core.demo.parts import SPAN_DAYS, Demo

MONTH = timedelta(days=30)
# In US dollars; where the organisation's currency is another one there are none.
RATES = {"EUR": Decimal("1.08"), "GBP": Decimal("1.27")}


def add_rates(demo: Demo) -> str:
    """Rates that wander by some hundredths from month to month; those that are there stay."""
    if base_currency() != "USD":
        return "0 exchange rates"
    today = demo.now.date()
    days = [today - number * MONTH for number in range(SPAN_DAYS // MONTH.days + 1)]
    rates = [
        DatedRate(currency, day, rate + Decimal(demo.random.randint(-300, 300)) / 10_000)
        for currency, rate in RATES.items()
        for day in days
    ]
    stored = store(rates, ExchangeRate.Source.MANUAL, today, replaces=False)
    return f"{stored.written} exchange rates"
