"""Questions about opportunities. Money is summed for each currency."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import (
    Case,
    Count,
    DecimalField,
    F,
    FloatField,
    Func,
    IntegerField,
    Q,
    Sum,
    When,
)
from django.db.models.functions import Cast, Coalesce, Extract, Now, TruncMonth

from core.currencies.conversion import GROUPED_BY, CurrencyConversion, dated
from core.models.record import RecordQuerySet
from opportunities.totals import AMOUNTS, Totals, with_mean

MONEY = DecimalField(max_digits=21, decimal_places=4)
PROBABILITY = DecimalField(max_digits=9, decimal_places=6)
ZERO = Decimal(0)
OPEN, WON = Q(status="open"), Q(status="won")
CLOSING_WEEKS = 2


def closing(today: date) -> Q:
    """Open and expected to close within CLOSING_WEEKS, or by now."""
    return OPEN & Q(expected_close_date__lte=today + timedelta(weeks=CLOSING_WEEKS))


def won_this_month(today: date) -> Q:
    return WON & Q(actual_close_date__gte=today.replace(day=1))


# What a forecast weighs open deals by: the probability of their stage (or the one a person gave), or that of
# the scoring model, where it has scored them.
STAGE, MODEL = "stage", "model"
WEIGHTS = (STAGE, MODEL)


def weighted(weights: str = STAGE) -> Any:
    """amount * probability / 100, to the smallest unit of the amount's currency."""
    places = Func(F("amount"), function="scale", output_field=IntegerField())
    exact = F("amount") * _percent(weights) / Decimal(100)
    return Func(exact, places, function="ROUND", output_field=MONEY)


def _percent(weights: str) -> Any:
    """The probability of a deal in percent. A closed one is certain, whatever the weights."""
    if weights == STAGE:
        return F("probability")
    learned = Cast(F("win_probability"), PROBABILITY) * Decimal(100)
    scored = Q(status="open", win_probability__isnull=False)
    return Case(When(scored, then=learned), default=Cast(F("probability"), MONEY), output_field=MONEY)


def total(expression: Any, only: Q | None = None) -> Any:
    return Coalesce(Sum(expression, filter=only), ZERO, output_field=MONEY)


class OpportunityQuerySet(RecordQuerySet):
    def open(self) -> "OpportunityQuerySet":
        return self.filter(OPEN)

    def dated(self, today: date) -> "OpportunityQuerySet":
        """With the day by whose exchange rate each counts: today, or when it was closed."""
        found: Any = dated(self, OPEN, "actual_close_date", today)
        return found

    def statistics(self, today: date | None = None, in_currency: str = "") -> dict[str, Any]:
        """Counts, win rate (won of closed ones, 0 to 1), breakdowns and totals by currency; with
        `in_currency` also a total in that one, by the rates of `today`."""
        found = self.breakdown("status", "stage")
        counts = found.counts("status")
        closed = counts["won"] + counts["lost"]
        return {
            "total": sum(counts.values()),
            **counts,
            "win_rate": round(counts["won"] / closed, 4) if closed else 0,
            **self._amounts(today, in_currency),
            "by_status": counts,
            "by_stage": found.counts("stage"),
        }

    def _amounts(self, today: date | None, in_currency: str) -> dict[str, Any]:
        """What is open and won in each currency, and the mean of all amounts."""
        rows: Any = self.dated(today) if today and in_currency else self
        groups = list(
            rows.order_by()
            .values(*(GROUPED_BY if in_currency else ("currency",)))
            .annotate(
                count=Count("amount"),
                total_value=total("amount", OPEN),
                total_weighted_value=total(weighted(), OPEN),
                won_value=total("amount", WON),
                all_value=total("amount"),
            )
        )
        shown = with_mean(Totals(AMOUNTS, groups).shown())
        if not in_currency:
            return shown | {"converted": None}
        conversion = CurrencyConversion(in_currency, groups)
        return shown | {"converted": with_mean(conversion.total(AMOUNTS, groups)) | conversion.named()}

    def by_stage(self, groups: Sequence[str] = ("currency",)) -> dict[str, list[dict[str, Any]]]:
        """Of each stage that has deals, by currency (or other `groups`): deals, those with an amount
        (`count`), value, weighted value and the sum of ages in days."""
        age = Extract(Now() - F("created_at"), "epoch", output_field=FloatField()) / 86_400
        rows = (
            self.order_by()
            .values("stage", *groups)
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

    def forecast(
        self, start: date, end: date, weights: str = STAGE, groups: Sequence[str] = ("currency",)
    ) -> list[dict[str, Any]]:
        """Deals expected to close, or closed, in [start, end], by month and currency (or other `groups`)."""
        month = TruncMonth(Coalesce("actual_close_date", "expected_close_date"))
        counted = self.exclude(forecast_category="omitted").filter(OPEN | WON).annotate(month=month)
        found = counted.filter(month__gte=start, month__lte=end).order_by()
        rows = found.values("month", *groups)
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
                weighted=total(weighted(weights)),
            ).order_by("month")
        )
