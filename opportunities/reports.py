"""What may be reported of opportunities."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from django.db.models import F, Q
from django.db.models.functions import Coalesce

from core.reports.reported import (
    ForecastColumns,
    Past,
    ReportedEntity,
    ReportStep,
    StepScope,
    reported_entities,
)
from opportunities.lost_reasons import reported_reason
from opportunities.models import ForecastCategory, OpportunityStatus, Pipeline, Stage
from opportunities.querysets import WON


def stages_of(pipeline: int | None) -> Sequence[ReportStep]:
    """The stages of a pipeline; of all, those of each pipeline one after the other, each key once."""
    stages = Stage.objects.order_by("-pipeline__is_default", "pipeline", "position", "id")
    found = stages.filter(pipeline=pipeline) if pipeline else stages
    steps: dict[str, ReportStep] = {}
    for stage in found:
        steps.setdefault(stage.key, ReportStep(stage.key, stage.name, stage.outcome))
    return list(steps.values())


def default_pipeline_id() -> int | None:
    return Pipeline.objects.filter(is_default=True).values_list("pk", flat=True).first()


def closed_on(zone: ZoneInfo) -> F:
    """The date is kept as that of whoever closed the deal."""
    return F("actual_close_date")


reported_entities.register(
    "opportunity",
    ReportedEntity(
        entity="opportunity",
        won=WON,
        lost=Q(status=OpportunityStatus.LOST),
        closed_on=closed_on,
        amount="amount",
        step_column="stage",
        steps=stages_of,
        source_column="lead_source",
        reason=reported_reason(),
        scope=StepScope("pipeline", "pipeline_id", default_pipeline_id),
        past=Past(
            status_column="status",
            open_values=(OpportunityStatus.OPEN,),
            won_values=(OpportunityStatus.WON,),
            due_column="expected_close_date",
            probability_column="probability",
        ),
        forecast=ForecastColumns(
            commit=Q(forecast_category=ForecastCategory.COMMIT),
            best_case=Q(forecast_category=ForecastCategory.BEST_CASE),
            omitted=Q(forecast_category=ForecastCategory.OMITTED),
            day=Coalesce("actual_close_date", "expected_close_date"),
        ),
        is_default=True,
    ),
)
