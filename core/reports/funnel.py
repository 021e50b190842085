"""How many records came how far, and how long that took."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Q, QuerySet

from core.reports import stays
from core.reports.reported import LOST, OPEN, WON, ReportedEntity, ReportStep

# A record has come as far as a step once it was in it or in a later one. The time to a step is that of the
# records which were in it, from when they came into the step that they were in before.
_REACHED = """,
steps (key, place) AS (SELECT * FROM unnest(%s::text[], %s::int[])),
first_entered AS (
    SELECT e.id, s.place, min(e.at) AS at FROM entered e JOIN steps s ON s.key = e.step GROUP BY e.id, s.place
),
furthest AS (SELECT id, max(place) AS place FROM first_entered GROUP BY id),
timed AS (
    SELECT place, extract(epoch FROM at - lag(at) OVER (PARTITION BY id ORDER BY place)) AS seconds
    FROM first_entered
)
SELECT s.place, (SELECT count(*) FROM furthest f WHERE f.place >= s.place),
       (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY t.seconds)
        FROM timed t WHERE t.place = s.place AND t.seconds > 0)
FROM steps s
"""
DAY_S = 86_400


def funnel(reported: ReportedEntity, rows: QuerySet, steps: Sequence[ReportStep]) -> dict[str, Any]:
    """The steps that lead to a win with the records that came as far, and how many are open, won and lost."""
    way = [step for step in steps if step.outcome != LOST]
    places = list(range(len(way)))
    keys = [step.key for step in way]
    reached = {
        place: (count, median) for place, count, median in stays.ask(reported, rows, _REACHED, [keys, places])
    }
    total = rows.count()
    return {
        "total": total,
        "rows": [_step(step, place, reached, total) for place, step in enumerate(way)],
        **_outcomes(reported, rows),
    }


def _step(step: ReportStep, place: int, reached: dict[int, tuple[int, Any]], total: int) -> dict[str, Any]:
    count, median = reached.get(place, (0, None))
    before = reached.get(place - 1, (0, None))[0] if place else total
    return {
        "step": step.key,
        "label": step.label,
        "count": count,
        "conversion": share(count, before),
        "conversion_from_start": share(count, total),
        "median_days": days(median),
    }


def _outcomes(reported: ReportedEntity, rows: QuerySet) -> dict[str, int]:
    won, lost = rows.filter(reported.won).count(), rows.filter(reported.lost).count()
    still = rows.exclude(Q(reported.won) | Q(reported.lost)).count()
    return {OPEN: still, WON: won, LOST: lost}


def days(seconds: Any) -> float | None:
    """Seconds as days, to two places."""
    return None if seconds is None else round(float(seconds) / DAY_S, 2)


def share(part: Any, whole: Any) -> float | None:
    """`part` of `whole`, 0 to 1; None of nothing."""
    return round(float(part / whole), 4) if whole else None
