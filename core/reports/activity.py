"""Who did what, how soon somebody answers, and what became of those made in the same month."""

from collections.abc import Mapping
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth import get_user_model
from django.db.models import (
    Aggregate,
    CharField,
    Count,
    DateField,
    F,
    FloatField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import Cast, Concat, Extract, Least, Trunc, TruncDate
from django.utils.translation import gettext as _

from core.activities.models import Activity, ActivityRecord
from core.errors import InvalidError
from core.reports.funnel import share
from core.reports.periods import MOST_PERIODS, DateRange
from core.reports.reported import ReportedEntity

HOUR_S = 3_600
WITHIN_HOURS = (1, 24)


class Percentile(Aggregate):
    """The value below which so large a share of the values are, of those there are."""

    template = "percentile_cont({share}) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()

    def __init__(self, expression: Any, of: float = 0.5, **extra: Any) -> None:
        super().__init__(expression, **extra)
        self.template = self.template.format(share=of)


def people_of(ids: Any) -> dict[int, str]:
    """What users are called, by id."""
    found = get_user_model().objects.filter(pk__in=[pk for pk in ids if pk is not None])
    return {user.pk: user.get_full_name() for user in found}


def activity_by_user(activities: QuerySet) -> dict[str, Any]:
    """How many activities of each type each user logged, and on how many records."""
    types = {name: Count("pk", filter=Q(type=name)) for name in Activity.Type.values}
    record = Concat("entity", Value(" "), Cast("object_id", CharField()))
    counted = (
        activities.order_by()
        .values("author")
        .annotate(total=Count("pk"), records=Count(record, distinct=True), **types)
    )
    rows = sorted(counted, key=lambda row: (-row["total"], row["author"] or 0))
    labels = people_of(row["author"] for row in rows)
    return {
        "rows": [
            {
                "user": row["author"],
                "label": labels.get(row["author"], ""),
                **{name: row[name] for name in ("total", "records", *types)},
            }
            for row in rows
        ]
    }


def response_time(reported: ReportedEntity, rows: QuerySet) -> dict[str, Any]:
    """How long after their creation records had their first activity, by owner."""
    of_record = Activity.objects.filter(
        entity=reported.entity, object_id=OuterRef("pk"), happened_at__gte=OuterRef("created_at")
    )
    further = ActivityRecord.objects.filter(
        entity=reported.entity, object_id=OuterRef("pk"), activity__happened_at__gte=OuterRef("created_at")
    )
    # The earlier of the two, or the one that there is.
    first = Least(
        Subquery(of_record.order_by("happened_at").values("happened_at")[:1]),
        Subquery(further.order_by("activity__happened_at").values("activity__happened_at")[:1]),
    )
    timed = rows.annotate(report_first=first).annotate(
        report_seconds=Extract(F("report_first") - F("created_at"), "epoch", output_field=FloatField())
    )
    found = list(timed.order_by().values("owner").annotate(**_TIMES))
    labels = people_of(row["owner"] for row in found)
    by_size = sorted(found, key=lambda row: (-row["count"], row["owner"] or 0))
    return {
        "rows": [
            {"user": row["owner"], "label": labels.get(row["owner"], ""), **_times(row)} for row in by_size
        ],
        "totals": _times(timed.aggregate(**_TIMES)),
    }


_TIMES: dict[str, Any] = {
    "count": Count("pk"),
    "answered": Count("report_seconds"),
    "median": Percentile("report_seconds"),
    "slowest": Percentile("report_seconds", 0.9),
    **{
        f"within_{hours}": Count("pk", filter=Q(report_seconds__lte=hours * HOUR_S)) for hours in WITHIN_HOURS
    },
}


def _times(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "count": row["count"],
        "answered": row["answered"],
        "median_hours": _hours(row["median"]),
        "p90_hours": _hours(row["slowest"]),
        **{f"within_{hours}_hours": share(row[f"within_{hours}"], row["count"]) for hours in WITHIN_HOURS},
    }


def _hours(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds / HOUR_S, 2)


def cohorts(reported: ReportedEntity, rows: QuerySet, inside: DateRange, zone: ZoneInfo) -> dict[str, Any]:
    """Of those made in each month, how many were won by the end of that month, of the next one, and so on.
    Raises InvalidError where these are too many months."""
    if _months(inside.start, inside.end) > MOST_PERIODS:
        raise InvalidError.of(
            "end", _("At most %(most_periods)s months.") % {"most_periods": MOST_PERIODS}, "too_many"
        )
    month = Trunc(TruncDate("created_at", tzinfo=zone), "month", output_field=DateField())
    sizes = dict(
        rows.annotate(report_month=month).order_by().values_list("report_month").annotate(Count("pk"))
    )
    closed = rows.filter(reported.won).annotate(report_month=month, report_day=reported.closed_on(zone))
    won: dict[tuple[date, int], int] = {}
    grouped = closed.annotate(report_won=Trunc("report_day", "month", output_field=DateField())).order_by()
    for made, closed_in, count in grouped.values_list("report_month", "report_won").annotate(Count("pk")):
        if closed_in is not None:
            place = max(_months(made, closed_in), 0)
            won[made, place] = won.get((made, place), 0) + count
    return {"rows": [_cohort(made, size, won, inside.end) for made, size in sorted(sizes.items())]}


def _cohort(made: date, size: int, won: Mapping[tuple[date, int], int], end: date) -> dict[str, Any]:
    months = range(_months(made, end) + 1)
    counts = [sum(won.get((made, earlier), 0) for earlier in range(place + 1)) for place in months]
    return {
        "month": made,
        "count": size,
        "won": counts,
        "won_share": [share(count, size) for count in counts],
    }


def _months(first: date, second: date) -> int:
    return (second.year - first.year) * 12 + second.month - first.month
