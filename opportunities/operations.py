"""The board, the forecast and the stage history; the default pipeline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, date
from itertools import chain
from typing import Any

from dateutil.relativedelta import relativedelta
from django.utils.translation import gettext as _

from core.changes.models import Change
from core.currencies.conversion import GROUPED_BY, CurrencyConversion
from core.entities import Entity
from core.entities.locks import MATCHING, lock
from core.errors import ConflictError, InvalidError, NotVisibleError
from opportunities.models import Opportunity, Pipeline, Stage
from opportunities.querysets import STAGE, OpportunityQuerySet
from opportunities.totals import Totals

BOARD = ("total_value", "total_weighted_value")
FORECAST = ("won", "commit", "best_case", "pipeline", "weighted")


@dataclass(frozen=True)
class InOneCurrency:
    """That a total in the currency `to` is asked for, at the exchange rates of `today`."""

    to: str
    today: date


def pipeline_figures(
    rows: OpportunityQuerySet, pipeline: Pipeline, one: InOneCurrency | None = None
) -> dict[str, Any]:
    """The board of one pipeline: every stage with its figures, and totals of what is still open."""
    rows = rows.filter(pipeline=pipeline)
    found = rows.dated(one.today).by_stage(GROUPED_BY) if one else rows.by_stage()
    conversion = CurrencyConversion(one.to, chain.from_iterable(found.values())) if one else None
    stages = list(pipeline.stages.all())
    still_open = [row for stage in stages if stage.outcome == "open" for row in found.get(stage.key, ())]
    totals = Totals(BOARD, still_open)
    return {
        "pipeline": {"id": pipeline.pk, "name": pipeline.name},
        "by_stage": {
            stage.key: _column(stage, found.get(stage.key, []), totals.currency, conversion)
            for stage in stages
        },
        "count": sum(row["deals"] for row in still_open),
        **totals.shown(),
        **_converted(BOARD, still_open, conversion, named=True),
    }


def _column(
    stage: Stage, rows: list[dict[str, Any]], currency: str, conversion: CurrencyConversion | None
) -> dict[str, Any]:
    deals = sum(row["deals"] for row in rows)
    return {
        "name": stage.name,
        "position": stage.position,
        "probability": stage.probability,
        "is_won": stage.is_won,
        "is_lost": stage.is_lost,
        "count": deals,
        **Totals(BOARD, rows).shown(currency),
        **_converted(BOARD, rows, conversion),
        "average_age_days": round(sum(row["age_days"] for row in rows) / deals, 1) if deals else None,
    }


def _converted(
    names: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    conversion: CurrencyConversion | None,
    *,
    named: bool = False,
) -> dict[str, Any]:
    """The total in one currency, null where none is asked for; with the rates used if they are to be
    `named`."""
    if conversion is None:
        return {"converted": None}
    return {"converted": conversion.total(names, rows) | (conversion.named() if named else {})}


def named_pipeline(pk: int | None) -> Pipeline:
    """The pipeline asked for, or the default one. Raises NotVisibleError."""
    rows = Pipeline.objects.prefetch_related("stages")
    found = rows.filter(pk=pk).first() if pk else rows.filter(is_default=True).first()
    if found is None:
        raise NotVisibleError(_("There is no such pipeline."))
    return found


def set_default(pipeline: Pipeline) -> None:
    """Make a stored pipeline the default one. Raises ConflictError where it is not active."""
    if not pipeline.is_active:
        raise ConflictError(_("A pipeline that is not active cannot be the default."))
    unset_default(other_than=pipeline)
    Pipeline.objects.filter(pk=pipeline.pk).update(is_default=True)


def unset_default(other_than: Pipeline | None) -> None:
    """Take the default mark from every other pipeline; one transaction at a time."""
    lock(MATCHING, "default pipeline")
    others = Pipeline.objects.filter(is_default=True)
    if other_than is not None:
        others = others.exclude(pk=other_than.pk)
    others.update(is_default=False)


def move_deals(stage: Stage, key: str) -> int:
    """Put all deals of a stage into another one of its pipeline, of the same outcome: nothing is won or lost
    by it. How many there were. Raises InvalidError."""
    others = {
        other.key: other
        for other in Stage.objects.filter(pipeline=stage.pipeline_id).exclude(pk=stage.pk)
        if other.outcome == stage.outcome
    }
    if key not in others:
        known = ", ".join(others) or "none"
        message = _("Expected another %(outcome)s stage of this pipeline. Known: %(known)s.") % {
            "outcome": stage.outcome,
            "known": known,
        }
        raise InvalidError.of("move_to", message, "invalid_choice")
    deals = Opportunity.objects.filter(pipeline=stage.pipeline_id, stage=stage.key)
    pks = list(deals.order_by("pk").select_for_update().values_list("pk", flat=True))
    return Opportunity.objects.filter(pk__in=pks).update(stage=key)


def forecast_figures(
    rows: OpportunityQuerySet,
    start: date,
    months: int,
    weights: str = STAGE,
    one: InOneCurrency | None = None,
) -> dict[str, Any]:
    """`months` months from that of `start`; months without deals are there with zeros. Raises InvalidError
    where they would go beyond the calendar."""
    first = start.replace(day=1)
    if first.year * 12 + first.month + months - 1 > MAXYEAR * 12 + 12:
        raise InvalidError.of(
            "start",
            _("So many months would go beyond the year %(maxyear)s.") % {"maxyear": MAXYEAR},
            "max_value",
        )
    series = [first + relativedelta(months=i) for i in range(months)]
    last = series[-1]
    groups = GROUPED_BY if one else ("currency",)
    found = (rows.dated(one.today) if one else rows).forecast(first, last, weights, groups)
    conversion = CurrencyConversion(one.to, found) if one else None
    totals = Totals(FORECAST, found)
    shown = totals.shown()
    return {
        "weights": weights,
        "months": [_month(month, found, totals.currency, conversion) for month in series],
        "totals": {name: shown.pop(name) for name in FORECAST},
        **shown,
        **_converted(FORECAST, found, conversion, named=True),
    }


def _month(
    month: date, found: list[dict[str, Any]], currency: str, conversion: CurrencyConversion | None
) -> dict[str, Any]:
    rows = [row for row in found if row["month"] == month]
    deals = sum(row["deals"] for row in rows)
    return {
        "month": f"{month:%Y-%m}",
        "count": deals,
        **Totals(FORECAST, rows).shown(currency),
        **_converted(FORECAST, rows, conversion),
    }


def stage_history(entity: Entity, record: Any) -> list[dict[str, Any]]:
    """Through which stages a deal went, oldest first: entered, left, how long (days), by whom (id)."""
    moves = Change.objects.filter(entity=entity.name, object_id=record.pk, changes__has_key="stage")
    rows = list(moves.order_by("id").values("at", "changes", "actor_id"))
    first = rows[0]["changes"]["stage"][0] if rows else record.stage
    entries = [{"stage": first, "entered_at": record.created_at, "moved_by": record.created_by_id}]
    for row in rows:
        entered = {"stage": row["changes"]["stage"][1], "entered_at": row["at"], "moved_by": row["actor_id"]}
        entries.append(entered)
    return [_spent(entry, after) for entry, after in zip(entries, [*entries[1:], None], strict=True)]


def _spent(entry: dict[str, Any], after: dict[str, Any] | None) -> dict[str, Any]:
    left = after["entered_at"] if after else None
    seconds = (left - entry["entered_at"]).total_seconds() if left else None
    days = None if seconds is None else round(max(seconds, 0) / 86_400, 2)
    return {**entry, "left_at": left, "days": days}
