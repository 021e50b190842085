"""Sums of money by currency: two currencies are never added up.

An answer shows the figures of one currency in its own fields, names it in `currency`, and has the same
figures for each currency in `by_currency`.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from core.conf import conf
from core.models.money import rounded

Figures = dict[str, Any]
# The figures of statistics; `all_value`, of all deals, is what their mean is made of.
AMOUNTS = ("total_value", "total_weighted_value", "won_value", "all_value")


class Totals:
    """Rows with a `currency`, a `count` and sums under `names`, added up for each currency."""

    def __init__(self, names: Sequence[str], rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self.names = names
        self.by_currency: dict[str, Figures] = {}
        for row in sorted(rows, key=lambda row: row["currency"]):
            self.add(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row; one without any amounts is of no currency."""
        if row["count"]:
            kept = self.by_currency.setdefault(row["currency"], {"count": 0, **self._zeros(row["currency"])})
            kept["count"] += row["count"]
            for name in self.names:
                kept[name] = rounded(kept[name] + row[name], row["currency"])

    @property
    def currency(self) -> str:
        """The currency whose figures stand for all: the only one, else the usual one, else the commonest."""
        usual = conf.DEFAULT_CURRENCY
        if usual in self.by_currency or not self.by_currency:
            return usual
        return max(self.by_currency, key=lambda currency: self.by_currency[currency]["count"])

    def of(self, currency: str) -> Figures:
        """The figures of one currency, zeros where there are none."""
        found = self.by_currency.get(currency) or self._zeros(currency)
        return {name: found[name] for name in self.names}

    def shown(self, currency: str = "") -> Figures:
        """The figures of `currency` (else the one that stands for all) beside those of each."""
        chosen = currency or self.currency
        return {
            **self.of(chosen),
            "currency": chosen,
            "mixed_currencies": len(self.by_currency) > 1,
            "by_currency": dict(sorted(self.by_currency.items())),
        }

    def _zeros(self, currency: str) -> Figures:
        return dict.fromkeys(self.names, rounded(Decimal(0), currency))


def with_mean(figures: Figures) -> Figures:
    """Figures of AMOUNTS, and of each currency below them, with the mean in place of the sum of all."""
    whole = figures["count"] if "count" in figures else _counted(figures)
    shown = {**figures, "average_amount": _mean(figures["all_value"], whole, figures["currency"])}
    for key in ("by_currency", "without_rate"):
        if key in figures:
            shown[key] = {currency: _with_its_mean(kept, currency) for currency, kept in figures[key].items()}
    return {name: value for name, value in shown.items() if name != "all_value"}


def _with_its_mean(kept: Figures, currency: str) -> Figures:
    mean = _mean(kept["all_value"], kept["count"], currency)
    return {**{name: value for name, value in kept.items() if name != "all_value"}, "average_amount": mean}


def _counted(figures: Figures) -> int:
    return figures["by_currency"].get(figures["currency"], {"count": 0})["count"]


def _mean(amount: Decimal, count: int, currency: str) -> Decimal:
    return rounded(amount / count if count else Decimal(0), currency)
