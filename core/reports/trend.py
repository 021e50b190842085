"""Created, won and lost by period, compared with the period before."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count, DateField, F, QuerySet, Sum
from django.db.models.functions import Trunc, TruncDate
from django.utils.translation import gettext

from core.errors import InvalidError
from core.reports.dimensions import Dimension
from core.reports.periods import DateRange, PeriodSeries
from core.reports.reported import ReportedEntity
from core.reports.sums import Figures

CREATED, WON, LOST = MEASURES = ("created", "won", "lost")
MOST_ROWS = 10_000
# Of one measure: the rows with anything in them, for each currency.
MOST_FIGURES = 10 * MOST_ROWS
GROUPS = ("report_group_1", "report_group_2")
Group = tuple[Any, ...]


@dataclass(frozen=True)
class TrendQuery:
    """What is asked: whole periods, and what each is divided by."""

    reported: ReportedEntity
    periods: PeriodSeries
    dimensions: Sequence[Dimension]
    zone: ZoneInfo

    @property
    def range(self) -> DateRange:
        """All days that are looked at: the periods, and as many before them."""
        return DateRange(self.periods.before.start, self.periods.range.end)


def trend(asked: TrendQuery, rows: QuerySet) -> dict[str, Any]:
    """A row for each period and group that has any, with the figures of the period before beside it."""
    found = _figures(asked, rows)
    groups = sorted({group for _, group in found}, key=lambda group: [str(value or "") for value in group])
    if len(groups) * len(asked.periods.days) > MOST_ROWS:
        raise _too_many()
    labels = [
        dimension.labels({group[place] for group in groups})
        for place, dimension in enumerate(asked.dimensions)
    ]

    def named(group: Group) -> list[dict[str, Any]]:
        named_labels = zip(asked.dimensions, group, labels, strict=True)
        return [dimension.shown(value, known) for dimension, value, known in named_labels]

    inside, before = asked.periods.range, asked.periods.before
    return {
        "period": asked.periods.unit,
        "start": inside.start,
        "end": inside.end,
        "time_zone": asked.zone.key,
        "rows": list(_rows(asked, found, groups or ([()] if not asked.dimensions else []), named)),
        "totals": _total(found, inside).shown(),
        "previous": {
            "start": before.start,
            "end": before.end,
            **_total(found, before).shown(),
        },
    }


def _too_many() -> InvalidError:
    message = gettext("More than %(most_rows)s rows; ask for longer periods or fewer groups.") % {
        "most_rows": MOST_ROWS
    }
    return InvalidError.of("group_by", message, "too_many")


Found = dict[tuple[date, Group], Figures]


def _rows(asked: TrendQuery, found: Found, groups: Sequence[Group], named: Any) -> Iterator[dict[str, Any]]:
    """Every period of every group, so that a line can be drawn."""
    nothing = Figures(MEASURES)
    days = asked.periods.days
    earlier = dict(zip(days[1:], days, strict=False)) | {days[0]: _last_before(asked)}
    for group in groups:
        for day in days:
            yield {
                "period": day,
                "groups": named(group),
                **found.get((day, group), nothing).shown(),
                "previous": found.get((earlier[day], group), nothing).shown(),
            }


def _last_before(asked: TrendQuery) -> date:
    return PeriodSeries(asked.periods.before, asked.periods.unit).days[-1]


def _total(found: Mapping[tuple[date, Group], Figures], inside: DateRange) -> Figures:
    total = Figures(MEASURES)
    for (day, _), figures in found.items():
        if inside.start <= day <= inside.end:
            total.join(figures)
    return total


def _figures(asked: TrendQuery, rows: QuerySet) -> Found:
    """The figures of each period (by its first day) and group."""
    found: Found = {}
    for measure, dated in _dated(asked, rows):
        for day, group, currency, count, amounts, value in _grouped(asked, dated):
            figures = found.setdefault((day, group), Figures(MEASURES))
            figures.add(measure, count, currency, amounts, value)
    return found


def _dated(asked: TrendQuery, rows: QuerySet) -> Iterator[tuple[str, QuerySet]]:
    """The rows of each measure with the day on which each counts."""
    first, behind = asked.range.moments(asked.zone)
    made = rows.filter(created_at__gte=first, created_at__lt=behind)
    yield CREATED, made.annotate(report_day=TruncDate("created_at", tzinfo=asked.zone))
    for measure, outcome in ((WON, asked.reported.won), (LOST, asked.reported.lost)):
        yield measure, closed_within(asked.reported, rows.filter(outcome), asked.range, asked.zone)


def closed_within(reported: ReportedEntity, rows: QuerySet, inside: DateRange, zone: ZoneInfo) -> QuerySet:
    """Those of the closed rows whose outcome fell on a day of the range, `report_day`."""
    dated = rows.annotate(report_day=reported.closed_on(zone))
    return dated.filter(report_day__gte=inside.start, report_day__lte=inside.end)


def _grouped(asked: TrendQuery, dated: QuerySet) -> Iterator[tuple[Any, ...]]:
    """(first day of the period, group, currency, records, those with an amount, their sum)."""
    names = GROUPS[: len(asked.dimensions)]
    values = {name: one.expression for name, one in zip(names, asked.dimensions, strict=True)}
    period = Trunc("report_day", asked.periods.unit, output_field=DateField())
    counted = (
        dated.annotate(report_period=period, **values)
        .order_by()
        .values("report_period", "currency", *names)
        .annotate(
            report_count=Count("pk"),
            report_amounts=Count(asked.reported.amount),
            report_sum=Sum(F(asked.reported.amount)),
        )
    )
    found_rows = list(counted[: MOST_FIGURES + 1])
    if len(found_rows) > MOST_FIGURES:
        raise _too_many()
    for row in found_rows:
        yield (
            row["report_period"],
            tuple(row[name] or None for name in names),
            row["currency"],
            row["report_count"],
            row["report_amounts"],
            row["report_sum"],
        )
