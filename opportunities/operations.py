"""Figures that put several questions together."""

from datetime import date
from typing import Any

from dateutil.relativedelta import relativedelta
from django.db.models import QuerySet

from core.changes.models import Change
from core.entities import Entity
from core.entities.locks import MATCHING, lock
from core.errors import NotVisibleError
from opportunities.models import Pipeline, Stage
from opportunities.querysets import ZERO


def pipeline_figures(rows: QuerySet, pipeline: Pipeline) -> dict[str, Any]:
    """The board of one pipeline: every stage with its figures, and totals of what is still open."""
    rows = rows.filter(pipeline=pipeline)
    found = rows.by_stage()
    currencies = rows.by_currency()
    return {
        "pipeline": {"id": pipeline.pk, "name": pipeline.name},
        "by_stage": {stage.key: _column(stage, found.get(stage.key)) for stage in pipeline.stages.all()},
        "count": sum(c["count"] for c in currencies.values()),
        "total_value": sum((c["total_value"] for c in currencies.values()), ZERO),
        "total_weighted_value": sum((c["total_weighted_value"] for c in currencies.values()), ZERO),
        "mixed_currencies": len(currencies) > 1,
        "by_currency": currencies,
    }


def _column(stage: Stage, figures: dict[str, Any] | None) -> dict[str, Any]:
    figures = figures or {"count": 0, "total_value": ZERO, "total_weighted_value": ZERO}
    age = figures.get("average_age_days")
    return {
        "name": stage.name,
        "position": stage.position,
        "probability": stage.probability,
        "is_won": stage.is_won,
        "is_lost": stage.is_lost,
        **figures,
        "average_age_days": None if age is None else round(float(age), 1),
    }


def named_pipeline(pk: int | None) -> Pipeline:
    """The pipeline asked for, or the default one. Raises NotVisibleError."""
    rows = Pipeline.objects.prefetch_related("stages")
    found = rows.filter(pk=pk).first() if pk else rows.filter(is_default=True).first()
    if found is None:
        raise NotVisibleError("There is no such pipeline.")
    return found


def set_default(pipeline: Pipeline | None) -> None:
    """There is one default pipeline: any but `pipeline` (None: one not stored yet) is it no longer."""
    lock(MATCHING, "default pipeline")
    others = Pipeline.objects.filter(is_default=True).exclude(pk=pipeline.pk if pipeline else None)
    others.update(is_default=False)


def forecast_figures(rows: QuerySet, start: date, months: int) -> dict[str, Any]:
    """`months` months from that of `start`; months without deals are there with zeros."""
    first = start.replace(day=1)
    found = {row["month"]: row for row in rows.forecast(first, first + relativedelta(months=months))}
    series = [_month(found, first + relativedelta(months=i)) for i in range(months)]
    keys = ("won", "commit", "best_case", "pipeline", "weighted")
    totals = {key: sum((row[key] for row in series), ZERO) for key in keys}
    return {"months": series, "totals": totals, "mixed_currencies": len(rows.by_currency()) > 1}


def _month(found: dict[date, dict[str, Any]], month: date) -> dict[str, Any]:
    zeros = dict.fromkeys(("won", "commit", "best_case", "pipeline", "weighted"), ZERO)
    row = found.get(month, {"count": 0, **zeros})
    return {**row, "month": f"{month:%Y-%m}"}


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
