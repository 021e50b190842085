"""Open amounts as of a past moment, and what became of them until another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

from core.reports import past
from core.reports.reported import Past, ReportedEntity, ReportStep
from core.reports.sums import sums_shown

VALUE, WEIGHTED = SUMS = ("value", "weighted_value")
# Whether a record, as it was at a moment, is of the scope and expected to close on the days asked for.
_COUNTS = (
    "(%s::bigint IS NULL OR {scope} = %s) AND (%s::date IS NULL OR due_{place}::date >= %s)"
    " AND (%s::date IS NULL OR due_{place}::date <= %s)"
)
_OPEN = "(created_at < %s AND archived_{place} IS NULL AND status_{place} = ANY(%s::text[]) AND {counts})"
_AS_OF = """
SELECT step_0, currency_0, count(*), count(amount_0), coalesce(sum(amount_0::numeric), 0), coalesce(sum(
    round(amount_0::numeric * coalesce(probability_0::numeric, 0) / 100, scale(amount_0::numeric))), 0)
FROM states WHERE {open} GROUP BY step_0, currency_0
"""


# The columns of a state by which amounts are open and count, and those that the steps need too.
_COUNTED = ("status", "amount", "currency", "due", "archived", "scope")
_STEPS_OF = (*_COUNTED, "step", "probability")


@dataclass(frozen=True)
class PipelineQuery:
    """Which open amounts are asked for: of one scope, and expected to close within some days."""

    reported: ReportedEntity
    past: Past
    rows: QuerySet
    scope: int | None = None
    due_from: date | None = None
    due_until: date | None = None

    def counts(self, place: int) -> tuple[str, list[Any]]:
        """The condition of records that count as they were at the moment of this place, with its values."""
        scope = f"scope_{place}::bigint" if self.reported.scope else "NULL"
        bounds = (self.scope, self.due_from, self.due_until)
        return _COUNTS.format(scope=scope, place=place), [value for value in bounds for _ in range(2)]

    def is_open(self, place: int, moment: datetime) -> tuple[str, list[Any]]:
        """The condition of records that count and were open then, with its values."""
        counts, bounds = self.counts(place)
        return _OPEN.format(place=place, counts=counts), [moment, list(self.past.open_values), *bounds]

    def ask(
        self, moments: Sequence[datetime], names: Sequence[str], statement: str, params: Sequence[Any]
    ) -> list[tuple[Any, ...]]:
        """What a statement finds that goes on behind the states at these moments (core.reports.past)."""
        return past.ask(self.reported, self.past, self.rows, moments, names, statement, params)


def as_of(asked: PipelineQuery, moment: datetime, steps: Sequence[ReportStep]) -> dict[str, Any]:
    """What was open at a moment, by step and currency."""
    condition, values = asked.is_open(0, moment)
    by_step: dict[str, _Open] = {}
    total = _Open()
    for step, currency, *figures in asked.ask([moment], _STEPS_OF, _AS_OF.format(open=condition), values):
        by_step.setdefault(step, _Open()).add(currency, *figures)
        total.add(currency, *figures)
    labels = {step.key: step.label for step in steps}
    ordered = [key for key in labels if key in by_step] + sorted(by_step.keys() - labels.keys())
    return {
        "rows": [{"step": key, "label": labels.get(key, key), **by_step[key].shown()} for key in ordered],
        "totals": total.shown(),
    }


class _Open:
    """Open records: how many, and their worth by currency."""

    def __init__(self) -> None:
        self.count = 0
        self.sums: dict[str, dict[str, Any]] = {}

    def add(self, currency: str, count: int, amounts: int, value: Decimal, weighted: Decimal) -> None:
        self.count += count
        if amounts:
            own = self.sums.setdefault(currency, {"count": 0, VALUE: Decimal(0), WEIGHTED: Decimal(0)})
            own["count"] += amounts
            own[VALUE] += value
            own[WEIGHTED] += weighted

    def shown(self) -> dict[str, Any]:
        return {"count": self.count, "by_currency": sums_shown(self.sums, SUMS)}


START, END, POSTPONED = "pipeline_start", "pipeline_end", "postponed"
CAME = ("new", "reopened", "restored", "moved_in")
CHANGED = ("raised", "lowered", "currency_changed")
WENT = ("won", "lost", "slipped", "moved_out", "archived")
MOVES = (*CAME, *CHANGED, *WENT)
# The parts of the difference that each record makes. What is open at one of the moments alone came in or went
# out by the first reason that fits; a value that changed meanwhile is a part of its own, so that what was won
# counts as what it was won with. What came and went between the moments is new and then gone. Records of
# which the same is true are summed up first (`alike`), so that each is looked at once.
_WATERFALL = """,
known AS MATERIALIZED (SELECT * FROM states),
compared AS (
    SELECT {open_0} AS was_open, {open_1} AS is_open, {counts_1} AS counts, created_at >= %s AS is_new,
           archived_0 IS NOT NULL AS was_archived, archived_1 IS NOT NULL AS is_archived,
           status_0 = ANY(%s::text[]) AS was_of_open_status, status_1 = ANY(%s::text[]) AS is_of_open_status,
           status_1 = ANY(%s::text[]) AS is_won, coalesce(due_1::date > %s, false) AS is_late,
           {scope_left} AS left_scope, due_1::date > due_0::date AS is_postponed,
           currency_0, currency_1, amount_0::numeric AS amount_0, amount_1::numeric AS amount_1
    FROM known
),
moved AS (
    SELECT was_open, is_open, is_postponed, currency_0, currency_1, amount_0, amount_1,
           is_new AND counts AND NOT is_open AND (is_archived OR NOT is_of_open_status) AS has_passed,
           CASE WHEN is_new THEN 'new' WHEN NOT was_of_open_status THEN 'reopened'
                WHEN was_archived THEN 'restored' ELSE 'moved_in' END AS came,
           CASE WHEN is_archived THEN 'archived' WHEN is_won THEN 'won' WHEN NOT is_of_open_status THEN 'lost'
                WHEN left_scope THEN 'moved_out' WHEN is_late THEN 'slipped' ELSE 'moved_out' END AS went,
           sign(coalesce(amount_1, 0) - coalesce(amount_0, 0)) AS trend
    FROM compared
),
alike AS (
    SELECT was_open, is_open, has_passed, is_postponed, came, went, trend, currency_0, currency_1,
           count(*) AS records, count(amount_0) AS amounts_0, count(amount_1) AS amounts_1,
           coalesce(sum(amount_0), 0) AS amount_0, coalesce(sum(amount_1), 0) AS amount_1
    FROM moved GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
),
parts (move, currency, records, amounts, amount) AS (
    SELECT 'pipeline_start', currency_0, records, amounts_0, amount_0 FROM alike WHERE was_open
    UNION ALL SELECT 'pipeline_end', currency_1, records, amounts_1, amount_1 FROM alike WHERE is_open
    UNION ALL SELECT came, currency_1, records, amounts_1, amount_1
    FROM alike WHERE NOT was_open AND (is_open OR has_passed)
    UNION ALL SELECT went, currency_1, records, amounts_1, -amount_1
    FROM alike WHERE NOT is_open AND (was_open OR has_passed)
    UNION ALL SELECT CASE WHEN trend > 0 THEN 'raised' ELSE 'lowered' END, currency_1, records, records,
                     amount_1 - amount_0
    FROM alike WHERE was_open AND currency_0 = currency_1 AND trend <> 0
    UNION ALL SELECT 'currency_changed', currency_0, 0, amounts_0, -amount_0
    FROM alike WHERE was_open AND currency_0 <> currency_1
    UNION ALL SELECT 'currency_changed', currency_1, records, amounts_1, amount_1
    FROM alike WHERE was_open AND currency_0 <> currency_1
    UNION ALL SELECT 'postponed', currency_1, records, amounts_1, amount_1
    FROM alike WHERE was_open AND is_open AND is_postponed
)
SELECT move, currency, sum(records)::bigint, sum(amounts)::bigint, sum(amount)
FROM parts GROUP BY move, currency
"""


def waterfall(asked: PipelineQuery, start: datetime, end: datetime) -> dict[str, Any]:
    """From what was open at one moment to what was at another, in parts that add up in each currency."""
    found: dict[str, _Part] = {name: _Part() for name in (START, END, POSTPONED, *MOVES)}
    for move, currency, records, amounts, value in _parts(asked, start, end):
        found[move].add(currency, records, amounts, value)
    return {
        **{name: found[name].shown() for name in (START, END, POSTPONED)},
        "rows": [{"move": name, **found[name].shown()} for name in MOVES],
    }


def _parts(asked: PipelineQuery, start: datetime, end: datetime) -> Iterator[tuple[Any, ...]]:
    open_0, open_0_values = asked.is_open(0, start)
    open_1, open_1_values = asked.is_open(1, end)
    counts_1, counts_values = asked.counts(1)
    scope = "coalesce(scope_1 <> scope_0, false)" if asked.reported.scope else "false"
    statement = _WATERFALL.format(open_0=open_0, open_1=open_1, counts_1=counts_1, scope_left=scope)
    is_open, is_won = list(asked.past.open_values), list(asked.past.won_values)
    values = [
        *open_0_values,
        *open_1_values,
        *counts_values,
        start,
        is_open,
        is_open,
        is_won,
        asked.due_until,
    ]
    yield from asked.ask([start, end], _COUNTED, statement, values)


class _Part:
    """A part of the waterfall: how many records, and their worth by currency."""

    def __init__(self) -> None:
        self.count = 0
        self.sums: dict[str, dict[str, Decimal]] = {}

    def add(self, currency: str, records: int, amounts: int, value: Decimal) -> None:
        self.count += records
        if amounts:
            own = self.sums.setdefault(currency, {VALUE: Decimal(0)})
            own[VALUE] += value

    def shown(self) -> dict[str, Any]:
        return {"count": self.count, "by_currency": sums_shown(self.sums, (VALUE,))}
