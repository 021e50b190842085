"""Amounts of money: as many decimal places as their currency has."""

from decimal import Decimal
from typing import Any

import pgtrigger
from django.core.validators import MinValueValidator
from django.db import models

DEFAULT_CURRENCY = "USD"
# Minor units of ISO 4217 where there are not two; historic currencies count as having two.
ZERO_PLACES = (
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF",
    "XOF", "XPF",
)  # fmt: skip
THREE_PLACES = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
FOUR_PLACES = ("CLF", "UYW")
USUAL_PLACES, MOST_PLACES = 2, 4
# Of exchange rates: a unit of the least valuable currency still has eight digits in the most valuable one.
RATE_DIGITS, RATE_PLACES = 24, 12
_PLACES = {
    **dict.fromkeys(ZERO_PLACES, 0),
    **dict.fromkeys(THREE_PLACES, 3),
    **dict.fromkeys(FOUR_PLACES, 4),
}


def decimal_places(currency: str) -> int:
    """How many decimal places amounts in `currency` (an ISO 4217 code) have."""
    return _PLACES.get(currency, USUAL_PLACES)


def rounded(amount: Decimal, currency: str) -> Decimal:
    """`amount` with exactly the decimal places of its currency."""
    return round(Decimal(amount), decimal_places(currency))


class AmountField(models.DecimalField):
    """An amount beside a `currency`. PostgreSQL's unconstrained numeric keeps the scale of each value, so
    that one column holds 1000.00 dollars, 1000 yen and 1000.000 dinars."""

    def db_type(self, connection: Any) -> str:
        return "numeric"


def amount_field(whole_digits: int = 13) -> AmountField:
    """An optional amount below 10 to the power of `whole_digits`."""
    return AmountField(
        max_digits=whole_digits + MOST_PLACES,
        decimal_places=MOST_PLACES,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
    )


def rounds_amount(field: str) -> pgtrigger.Trigger:
    """Gives `field` the decimal places of the row's `currency`, whoever writes it."""
    codes = {
        places: _listed(codes) for places, codes in ((0, ZERO_PLACES), (3, THREE_PLACES), (4, FOUR_PLACES))
    }
    cases = " ".join(f"WHEN NEW.currency IN ({listed}) THEN {places}" for places, listed in codes.items())
    return pgtrigger.Trigger(
        name="round_amount",
        level=pgtrigger.Row,
        when=pgtrigger.Before,
        operation=pgtrigger.Insert | pgtrigger.UpdateOf(field, "currency"),
        # Most rows need nothing: the condition is cheaper than a call.
        condition=pgtrigger.Condition(
            f"NEW.{field} IS NOT NULL"
            f" AND (scale(NEW.{field}) <> {USUAL_PLACES} OR NEW.currency IN ({', '.join(codes.values())}))"
        ),
        func=f"NEW.{field} := round(NEW.{field}, CASE {cases} ELSE {USUAL_PLACES} END); RETURN NEW;",
    )


def _listed(codes: tuple[str, ...]) -> str:
    return ", ".join(f"'{code}'" for code in codes)
