"""Questions about opportunities. Money is summed for each currency."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import (
    Avg,
    Count,
    DecimalField,
    F,
    FloatField,
    Func,
    IntegerField,
    Q,
    Sum,
)
from django.db.models.functions import Coalesce, Extract, Now, TruncMonth

from core.models.record import RecordQuerySet
from opportunities.totals import Totals

MONEY = DecimalField(max_digits=21, decimal_places=4)
ZERO = Decimal(0)
OPEN, WON = Q(status="open"), Q(status="won")
CLOSING_WEEKS = 2


def closing(today: date) -> Q:
    """Open and expected to close within CLOSING_WEEKS, or by now."""
    return OPEN & Q(expected_close_date__lte=today + timedelta(weeks=CLOSING_WEEKS))


def won_this_month(today: date) -> Q:
    return WON & Q(actual_close_date__gte=today.replace(day=1))


def weighted() -> Any:
    """amount * probability / 100, to the smallest unit of the amount's currency."""
    places = Func(F("amount"), function="scale", output_field=IntegerField())
    exact = F("amount") * F("probability") / Decimal(100)
    return Func(exact, places, function="ROUND", output_field=MONEY)


def total(expression: Any, only: Q | None = None) -> Any:
    return Coalesce(Sum(expression, filter=only), ZERO, output_field=MONEY)


class OpportunityQuerySet(RecordQuerySet):
    def open(self) -> "OpportunityQuerySet":
        return self.filter(OPEN)

    def statistics(self) -> dict[str, Any]:
        """Counts, win rate (won of closed ones, 0 to 1), breakdowns and totals by currency."""
        counts = self.counts("status")
        closed = counts["won"] + counts["lost"]
        return {
            "total": sum(counts.values()),
            **counts,
            "win_rate": round(counts["won"] / closed, 4) if closed else 0,
            **self._amounts(),
            "by_status": counts,
            "by_stage": self.counts("stage"),
        }

    def _amounts(self) -> dict[str, Any]:
        """What is open and won in each currency, and the mean of all amounts."""
        rows = (
            self.order_by()
            .values("currency")
            .annotate(
                count=Count("amount"),
                total_value=total("amount", OPEN),
                total_weighted_value=total(weighted(), OPEN),
                won_value=total("amount", WON),
                average_amount=Coalesce(Avg("amount"), ZERO, output_field=MONEY),
            )
        )
        names = ("total_value", "total_weighted_value", "won_value", "average_amount")
        return Totals(names, rows).shown()

    def by_stage(self) -> dict[str, list[dict[str, Any]]]:
        """Of each stage that has deals, by currency: deals, those with an amount (`count`), value, weighted
        value and the sum of ages in days."""
        age = Extract(Now() - F("created_at"), "epoch", output_field=FloatField()) / 86_400
        rows = (
            self.order_by()
            .values("stage", "currency")
            .annotate(
                deals=Count("pk"),
                count=Count("amount"),
                total_value=total("amount"),
                total_weighted_value=total(weighted()),
                age_days=Sum(age),
            )
        )
        found: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            found.setdefault(row.pop("stage"), []).append(row)
        return found

    def forecast(self, start: date, end: date) -> list[dict[str, Any]]:
        """Deals expected to close, or closed, in [start, end], by month and currency."""
        month = TruncMonth(Coalesce("actual_close_date", "expected_close_date"))
        counted = self.exclude(forecast_category="omitted").filter(OPEN | WON).annotate(month=month)
        rows = counted.filter(month__gte=start, month__lte=end).order_by().values("month", "currency")
        committed = OPEN & Q(forecast_category="commit")
        hoped = OPEN & Q(forecast_category__in=("commit", "best_case"))
        return list(
            rows.annotate(
                deals=Count("pk"),
                count=Count("amount"),
                won=total("amount", WON),
                commit=total("amount", committed | WON),
                best_case=total("amount", hoped | WON),
                pipeline=total("amount"),
                weighted=total(weighted()),
            ).order_by("month")
        )
