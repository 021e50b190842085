"""Opportunities, pipelines and stages over HTTP."""

from datetime import date
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission, role_allows
from core.activities.api.viewsets import RecordViewSet
from core.api.parameters import choice_param, date_param, int_param
from core.api.resources import FORCE, ResourceViewSet
from core.conf import conf
from core.currencies.api.views import IN_CURRENCY
from core.entities.money import CURRENCY
from core.errors import ForbiddenError, refused_as
from opportunities import operations
from opportunities.api.filters import OpportunityFilterSet
from opportunities.api.serializers import (
    BoardSerializer,
    ForecastBacktestSerializer,
    ForecastSerializer,
    OpportunitySerializer,
    OpportunityStatisticsSerializer,
    PipelineSerializer,
    StageHistorySerializer,
    StageSerializer,
    WinProbabilitySerializer,
)
from opportunities.models import Opportunity, Pipeline, Stage
from opportunities.querysets import WEIGHTS
from opportunities.win_probability import newest_backtest, win_probability

FORECAST_MONTHS = 6
FORECAST_PARAMETERS = [
    OpenApiParameter("start", date, description="Begins with the month of this date; today without it."),
    OpenApiParameter("months", int, description=f"How many, 1 to 36; {FORECAST_MONTHS} without it."),
    OpenApiParameter(
        "weights",
        str,
        enum=WEIGHTS,
        description="What open deals are weighed by: the probability of their stage, or that of the scoring "
        "model (of the stage where a deal has none). Without it what the setting FORECAST_WEIGHTS says.",
    ),
    IN_CURRENCY,
]


@extend_schema_view(statistics=extend_schema(parameters=[IN_CURRENCY]))
class OpportunityViewSet(RecordViewSet):
    """Opportunities: deals on their way through a pipeline."""

    queryset = Opportunity.objects.all()
    serializer_class = OpportunitySerializer
    statistics_serializer_class = OpportunityStatisticsSerializer
    filterset_class = OpportunityFilterSet
    allowed_query_params = {**RecordViewSet.allowed_query_params, "pipeline": None, "forecast": None}
    unfiltered_params = {
        "forecast": ("start", "months", "weights", "in_currency"),
        "pipeline": ("in_currency",),
        "statistics": ("in_currency",),
    }

    def get_statistics(self) -> dict[str, Any]:
        one = self._one_currency()
        return self.filtered_rows().statistics(*((one.today, one.to) if one else ()))

    def _one_currency(self) -> operations.InOneCurrency | None:
        """The currency that one total is asked for in. Raises InvalidError."""
        user: Any = self.request.user
        with refused_as("in_currency"):
            asked = CURRENCY.to_internal_value(self.request.query_params.get("in_currency", ""))
        return operations.InOneCurrency(asked, timezone.localdate(timezone=user.zone)) if asked else None

    @extend_schema(responses=BoardSerializer, parameters=[IN_CURRENCY])
    @action(methods=["get"], detail=False)
    def pipeline(self, request: Request) -> Response:
        """One pipeline (`pipeline=`, else the default) by stage; takes the filters of the list."""
        named = operations.named_pipeline(int_param(request, "pipeline"))
        rows = self.filtered_rows()
        return Response(operations.pipeline_figures(rows, named, self._one_currency()))

    @extend_schema(responses=ForecastSerializer, parameters=FORECAST_PARAMETERS)
    @action(methods=["get"], detail=False)
    def forecast(self, request: Request) -> Response:
        """What is expected by month: `start` (a date, default today), `months` (1 to 36, default 6) and what
        open deals are weighed by (`weights`)."""
        user: Any = request.user
        start = date_param(request, "start") or timezone.localdate(timezone=user.zone)
        months = int_param(request, "months", 1, 36) or FORECAST_MONTHS
        rows = self.filtered_rows()
        weights = choice_param(request, "weights", WEIGHTS) or conf.FORECAST_WEIGHTS
        one = self._one_currency()
        return Response(operations.forecast_figures(rows, start, months, weights, one))

    @extend_schema(responses={200: WinProbabilitySerializer})
    @action(methods=["get"], detail=True)
    def win_probability(self, request: Request, pk: str) -> Response:
        """How likely this deal is won, beside what its stage says, and why."""
        return Response(win_probability(self.get_object()))

    @extend_schema(responses={200: ForecastBacktestSerializer})
    @action(methods=["get"], detail=False)
    def forecast_backtest(self, request: Request) -> Response:
        """How forecasts of closed deals would have gone by their stages and by the model: log loss, and error
        in money. Measured at the newest training; administrators."""
        if not role_allows(request.user, Permission.CONFIGURE):
            raise ForbiddenError("Only administrators see the figures of all deals.")
        return Response(newest_backtest())

    @extend_schema(responses=StageHistorySerializer)
    @action(methods=["get"], detail=True)
    def stages(self, request: Request, pk: str) -> Response:
        """The stages this deal went through, with the time spent in each."""
        return Response({"results": operations.stage_history(self.entity, self.get_object())})


class PipelineViewSet(ResourceViewSet):
    """Pipelines; a new one starts with the usual six stages."""

    model = Pipeline
    queryset = Pipeline.objects.prefetch_related("stages")
    serializer_class = PipelineSerializer
    allowed_query_params = FORCE
    filterset_fields = ("is_active", "is_default")
    ordering_fields = ("name", "created_at", "id")


class StageViewSet(ResourceViewSet):
    """Stages of pipelines, in their order.

    Deleting one that holds deals takes `move_to`, the key of a stage of the same pipeline and outcome; one
    that definitions name takes `force=true`.
    """

    model = Stage
    queryset = Stage.objects.all()
    serializer_class = StageSerializer
    allowed_query_params = FORCE | {"destroy": frozenset(("force", "move_to"))}
    filterset_fields = ("pipeline", "key")
    ordering_fields = ("pipeline", "position", "name", "probability", "id")

    def perform_destroy(self, instance: Stage) -> None:
        key = self.request.query_params.get("move_to")
        if key is not None:
            operations.move_deals(instance, key)
        super().perform_destroy(instance)
