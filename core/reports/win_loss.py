"""What was won and lost, by reason or by source."""

from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count, F, QuerySet, Sum, TextChoices
from django.utils.translation import gettext_lazy

from core.reports.funnel import share
from core.reports.periods import DateRange
from core.reports.reported import LOST, WON, ReportedEntity
from core.reports.sums import Figures
from core.reports.trend import closed_within

MEASURES = (WON, LOST)


class By(TextChoices):
    """What the outcomes are divided by; a won record has no reason."""

    REASON = "reason", gettext_lazy("Reason")
    SOURCE = "source", gettext_lazy("Source")


def win_loss(
    reported: ReportedEntity, rows: QuerySet, inside: DateRange, zone: ZoneInfo, by: str
) -> dict[str, Any]:
    """The records closed on the days of the range: the commonest value first."""
    value_of = reported.reason if by == By.REASON else F(reported.source_column)
    found: dict[str, Figures] = {}
    total = Figures(MEASURES)
    for measure, outcome in ((WON, reported.won), (LOST, reported.lost)):
        closed = closed_within(reported, rows.filter(outcome), inside, zone)
        for value, *figures in _counted(reported, closed, value_of):
            total.add(measure, *figures)
            if measure == LOST or by != By.REASON:
                found.setdefault(value, Figures(MEASURES)).add(measure, *figures)
    by_size = sorted(found.items(), key=lambda item: (-item[1].counts.total(), item[0]))
    return {
        "by": by,
        "rows": [{"value": value, **_shown(figures)} for value, figures in by_size],
        "totals": _shown(total),
    }


def _shown(figures: Figures) -> dict[str, Any]:
    won, lost = figures.counts[WON], figures.counts[LOST]
    return {"win_rate": share(won, won + lost), **figures.shown()}


def _counted(reported: ReportedEntity, closed: QuerySet, value_of: Any) -> list[tuple[Any, ...]]:
    """(value, records, currency, those with an amount, their sum)."""
    grouped = closed.order_by().annotate(report_value=value_of).values_list("report_value", "currency")
    counted = grouped.annotate(Count("pk"), Count(reported.amount), Sum(reported.amount))
    return [(value, count, currency, amounts, total) for value, currency, count, amounts, total in counted]
