"""Exchange rates for tests."""

from datetime import date

import factory
from factory.django import DjangoModelFactory

from core.currencies.models import ExchangeRate


class ExchangeRateFactory(DjangoModelFactory):
    """What a euro costs in dollars; it counts for closed amounts too."""

    class Meta:
        model = ExchangeRate

    currency = "EUR"
    date = date(2026, 1, 1)
    rate = "1.10"
    closing_rate = factory.SelfAttribute("rate")
