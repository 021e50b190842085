"""The declaration of opportunities: everything generic reads it."""

from collections.abc import Collection, Mapping
from typing import Any

from django.db.models import F
from django.db.models.functions import Extract, Now

from core.entities import column, columns, derived
from core.entities.amounts import currency_column, fits_currency
from core.entities.entity import Entity, id_column, record_columns, register
from core.entities.field_types import Integer, Money, Text
from core.entities.references import register_target
from opportunities.lost_reasons import on_the_list
from opportunities.models import Opportunity, Pipeline, Stage
from opportunities.querysets import OPEN, weighted
from opportunities.rules import company_named, in_a_stage, lost_with_a_reason, named, stage_decides

register_target("pipeline", Pipeline, *columns(Pipeline, "name", "is_default", "is_active"))


class StageKey(Text):
    """The key of a stage; rules.in_a_stage checks that the pipeline has it. Files may hold names of stages,
    which are longer."""

    def __init__(self, max_length: int = 250, **options: Any) -> None:
        super().__init__(max_length=max_length, **options)

    def to_internal_value(self, data: Any) -> str:
        return super().to_internal_value(data).lower()

    def named(self, values: Collection[Any]) -> Mapping[Any, str]:
        """By the default pipeline's stage where several pipelines have the key."""
        rows = Stage.objects.filter(key__in=values).order_by("pipeline__is_default", "-id")
        return dict(rows.values_list("key", "name"))

    def options(self) -> list[tuple[str, str]]:
        """In the order of the default pipeline, those of other pipelines behind it."""
        rows = Stage.objects.order_by("-pipeline__is_default", "pipeline_id", "position", "id")
        found: dict[str, str] = {}
        for key, name in rows.values_list("key", "name"):
            found.setdefault(key, name)
        return list(found.items())


OPPORTUNITY = register(
    Entity(
        name="opportunity",
        plural="opportunities",
        model=Opportunity,
        display_fields=("name",),
        columns=(
            id_column(Opportunity),
            column(Opportunity, "name", required=False),
            *columns(Opportunity, "company", "contact", "company_name"),
            column(Opportunity, "pipeline", required=False),
            column(Opportunity, "stage", field_type=StageKey(), required=False),
            *columns(Opportunity, "status", "amount"),
            currency_column(Opportunity),
            column(Opportunity, "probability"),
            derived("weighted_amount", Money(max_digits=17, decimal_places=4), weighted()),
            *columns(Opportunity, "forecast_category", "expected_close_date", "actual_close_date"),
            column(Opportunity, "lost_reason"),
            column(Opportunity, "lead_source", aliases=("source",)),
            *columns(Opportunity, "next_step", "last_contacted_at"),
            column(Opportunity, "notes", orderable=False),
            column(Opportunity, "stage_changed_at"),
            column(Opportunity, "win_score", field_type=Integer(min_value=0, max_value=100)),
            *columns(Opportunity, "win_probability", "scored_at"),
            derived("days_in_stage", Integer(), Extract(Now() - F("stage_changed_at"), "day")),
            *record_columns(Opportunity),
        ),
        open_filter=OPEN,
        rules=(
            in_a_stage,
            stage_decides,
            lost_with_a_reason,
            on_the_list,
            fits_currency("amount"),
            company_named,
            named,
        ),
        always_shown=(
            *("pipeline", "stage", "status", "amount", "probability", "weighted_amount"),
            *("forecast_category", "expected_close_date", "actual_close_date", "lost_reason", "lead_source"),
            *("stage_changed_at", "days_in_stage", "win_score", "win_probability", "scored_at"),
        ),
        example={
            "name": "Second engine",
            "company": 1,
            "amount": "48000.00",
            "currency": "GBP",
            "stage": "proposal",
            "expected_close_date": "2030-01-31",
        },
    )
)
