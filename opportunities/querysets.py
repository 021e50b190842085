"""Questions about opportunities. Money is summed as given; mixed currencies are said to be mixed."""

from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import Avg, Count, DecimalField, F, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce, Extract, Now, Round, TruncMonth

from core.models.record import RecordQuerySet

MONEY = DecimalField(max_digits=19, decimal_places=2)
ZERO = Decimal("0.00")
OPEN = Q(status="open")


def weighted() -> Any:
    """amount * probability / 100, to the cent."""
    return Round(F("amount") * F("probability") / Decimal(100), precision=2, output_field=MONEY)


def total(expression: Any, only: Q | None = None) -> Any:
    return Coalesce(Sum(expression, filter=only), ZERO, output_field=MONEY)


class OpportunityQuerySet(RecordQuerySet):
    def open(self) -> "OpportunityQuerySet":
        return self.filter(OPEN)

    def rotting(self) -> "OpportunityQuerySet":
        """Open deals that rest in their stage for longer than it allows."""
        from opportunities.models import Stage  # the model uses this queryset

        stage = Stage.objects.filter(pipeline=OuterRef("pipeline"), key=OuterRef("stage"))
        allowed = self.open().annotate(allowed_days=Subquery(stage.values("rotting_days")[:1]))
        return allowed.annotate(rests_days=Extract(Now() - F("stage_changed_at"), "epoch") / 86_400).filter(
            rests_days__gt=F("allowed_days")
        )

    def statistics(self) -> dict[str, Any]:
        """Totals, win rate (won of closed ones, 0 to 1) and breakdowns."""
        totals = self.aggregate(
            total=Count("pk"),
            open=Count("pk", filter=OPEN),
            won=Count("pk", filter=Q(status="won")),
            lost=Count("pk", filter=Q(status="lost")),
            total_value=total("amount", OPEN),
            total_weighted_value=total(weighted(), OPEN),
            won_value=total("amount", Q(status="won")),
            average_amount=Coalesce(Avg("amount"), ZERO, output_field=MONEY),
        )
        closed = totals["won"] + totals["lost"]
        totals["average_amount"] = round(totals["average_amount"], 2)
        return totals | {
            "win_rate": round(totals["won"] / closed, 4) if closed else 0,
            "by_status": self.counts("status"),
            "by_stage": self.counts("stage"),
            "by_currency": self.by_currency(),
        }

    def by_currency(self) -> dict[str, dict[str, Any]]:
        """Count, value and weighted value of the open ones in each currency."""
        rows = (
            self.open()
            .order_by()
            .values("currency")
            .annotate(count=Count("pk"), total_value=total("amount"), total_weighted_value=total(weighted()))
        )
        return {row.pop("currency"): row for row in rows.order_by("currency")}

    def by_stage(self) -> dict[str, dict[str, Any]]:
        """Count, value, weighted value and mean age in days of the deals in each stage that has any."""
        rows = (
            self.order_by()
            .values("stage")
            .annotate(
                count=Count("pk"),
                total_value=total("amount"),
                total_weighted_value=total(weighted()),
                average_age_days=Avg(Extract(Now() - F("created_at"), "epoch") / 86_400),
            )
        )
        return {row.pop("stage"): row for row in rows}

    def forecast(self, start: date, end: date) -> list[dict[str, Any]]:
        """Deals expected to close, or closed, in [start, end), by month."""
        month = TruncMonth(Coalesce("actual_close_date", "expected_close_date"))
        counted = self.exclude(forecast_category="omitted").annotate(month=month)
        rows = counted.filter(month__gte=start, month__lt=end).order_by().values("month")
        committed = Q(status="open", forecast_category="commit")
        hoped = Q(status="open", forecast_category__in=("commit", "best_case"))
        won = Q(status="won")
        return list(
            rows.annotate(
                count=Count("pk", filter=OPEN | won),
                won=total("amount", won),
                commit=total("amount", committed | won),
                best_case=total("amount", hoped | won),
                pipeline=total("amount", OPEN | won),
                weighted=total(weighted(), OPEN | won),
            ).order_by("month")
        )
