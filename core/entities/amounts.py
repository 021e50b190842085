"""What stands beside an amount: its currency, and the rule that it fits that."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from core.conf import conf
from core.entities.columns import Column, column
from core.entities.entity import Rule
from core.entities.money import CURRENCY
from core.errors import InvalidError
from core.models.money import decimal_places, rounded


def currency_column(model: Any) -> Column:
    """The column of the currency of a record's amount: the organisation's where none is given."""
    return column(model, "currency", field_type=CURRENCY, default=conf.DEFAULT_CURRENCY)


def fits_currency(field: str) -> Rule:
    """The rule that the amount in `field` has no more decimal places than the record's currency."""

    unset: dict[str, Any] = {field: None, "currency": conf.DEFAULT_CURRENCY}

    def rule(values: dict[str, Any], before: Mapping[str, Any] | None) -> None:
        if field not in values and "currency" not in values:
            return
        kept = before or unset
        amount, currency = values.get(field, kept[field]), values.get("currency") or kept["currency"]
        if amount is None:
            return
        fitting = rounded(amount, currency)
        if fitting != amount:
            places = decimal_places(currency)
            message = _("%(currency)s has %(places)s decimal places; %(amount)s has more.") % {
                "currency": currency,
                "places": places or pgettext("decimal places", "no"),
                "amount": f"{amount:f}",
            }
            raise InvalidError.of(field, message, "max_decimal_places")
        if field in values:
            values[field] = fitting

    return rule
