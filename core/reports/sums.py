"""Counts, and sums of money by currency: two currencies are never added up."""

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from core.models.money import rounded


class Figures:
    """How many there are of each measure, and what they are worth in each currency."""

    def __init__(self, measures: Sequence[str]) -> None:
        self.measures = measures
        self.counts: Counter[str] = Counter()
        self.sums: dict[str, Counter[str]] = {}

    def add(self, measure: str, count: int, currency: str, amounts: int, value: Decimal | None) -> None:
        """Add `count` records, of which `amounts` have an amount; these are worth `value` together."""
        self.counts[measure] += count
        if amounts:
            sums: Any = self.sums.setdefault(currency, Counter())
            sums[measure] += value or Decimal(0)

    def join(self, other: "Figures") -> None:
        """Add the figures of another."""
        self.counts += other.counts
        for currency, sums in other.sums.items():
            own: Any = self.sums.setdefault(currency, Counter())
            for measure, value in sums.items():
                own[measure] += value

    def shown(self) -> dict[str, Any]:
        """`created` and so on, and in `by_currency` what these are worth, zeros among them."""
        return {
            **{measure: self.counts[measure] for measure in self.measures},
            "by_currency": {
                currency: {
                    f"{measure}_value": rounded(Decimal(sums[measure]), currency) for measure in self.measures
                }
                for currency, sums in sorted(self.sums.items())
            },
        }


def sums_shown(sums: dict[str, dict[str, Any]], names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Sums under `names` by currency, with the decimal places of each; a `count` stays as it is."""
    return {
        currency: {
            **{name: value for name, value in found.items() if name == "count"},
            **{name: rounded(found.get(name) or Decimal(0), currency) for name in names},
        }
        for currency, found in sorted(sums.items())
    }
