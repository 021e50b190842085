"""How long records stay in each step."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from core.reports import stays
from core.reports.funnel import days
from core.reports.reported import OPEN, ReportedEntity, ReportStep

# Stays that ended within the time asked for, and the present ones of records that are in an open step.
_STAYS = """,
stays AS (
    SELECT step, at, lead(at) OVER (PARTITION BY id ORDER BY place) AS left_at FROM entered
),
lasting AS (
    SELECT step, left_at, greatest(extract(epoch FROM coalesce(left_at, now()) - at), 0) AS seconds
    FROM stays WHERE left_at IS NULL OR (left_at >= %s AND left_at < %s)
)
SELECT step,
       count(*) FILTER (WHERE left_at IS NOT NULL),
       avg(seconds) FILTER (WHERE left_at IS NOT NULL),
       percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) FILTER (WHERE left_at IS NOT NULL),
       percentile_cont(0.9) WITHIN GROUP (ORDER BY seconds) FILTER (WHERE left_at IS NOT NULL),
       count(*) FILTER (WHERE left_at IS NULL),
       percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) FILTER (WHERE left_at IS NULL)
FROM lasting GROUP BY step
"""


def velocity(
    reported: ReportedEntity, rows: QuerySet, steps: Sequence[ReportStep], within: tuple[datetime, datetime]
) -> dict[str, Any]:
    """Each open step with the stays that ended within two moments, and those that go on."""
    found = {row[0]: row[1:] for row in stays.ask(reported, rows, _STAYS, within)}
    nothing = (0, None, None, None, 0, None)
    return {"rows": [_row(step, found.get(step.key, nothing)) for step in steps if step.outcome == OPEN]}


def _row(step: ReportStep, figures: Sequence[Any]) -> dict[str, Any]:
    left, mean, median, slowest, present, present_median = figures
    return {
        "step": step.key,
        "label": step.label,
        "left": left,
        "mean_days": days(mean),
        "median_days": days(median),
        "p90_days": days(slowest),
        "present": present,
        "present_median_days": days(present_median),
    }
