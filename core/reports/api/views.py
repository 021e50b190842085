"""/api/v1/reports/: each report under its own address, as JSON or CSV."""

from collections.abc import Callable
from typing import Any

from drf_spectacular.helpers import forced_singular_serializer
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import ReadAllPolicy
from core.api.pagination import Page
from core.api.parameters import only_known, single_valued
from core.api.viewsets import CrmViewSet
from core.conditions import list_query
from core.errors import InvalidError
from core.reports import answers
from core.reports.answers import Asked
from core.reports.api import serializers
from core.reports.api.csv_answers import csv_answer
from core.reports.api.parameters import (
    ActivityParameters,
    AsOfParameters,
    CohortParameters,
    ForecastParameters,
    ReportParameters,
    TrendParameters,
    WaterfallParameters,
    WinLossParameters,
    asked_of,
)
from core.reports.reported import reported_entities, with_forecast, with_past
from core.transfer.api.exports import AnyFormat

CSV = {(200, "text/csv"): {"type": "string"}}


def described(parameters: type[ReportParameters], answer: Any, **options: Any) -> Callable[..., Any]:
    """The parameters and answers of a report, for the OpenAPI document."""
    return extend_schema(
        parameters=[parameters], responses={(200, "application/json"): answer, **CSV}, **options
    )


class ReportFormat(AnyFormat):
    """A page for a browser that names no format."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        if "format" not in request.query_params and "text/html" in request.headers.get("Accept", ""):
            return DefaultContentNegotiation.select_renderer(self, request, renderers, format_suffix)
        return super().select_renderer(request, renderers, format_suffix)


class ReportViewSet(CrmViewSet):
    """Reports over what one may see. Each takes the filters of its entity's list; sums are by currency, days
    those of the time zone of who asks."""

    policy = ReadAllPolicy()
    content_negotiation_class = ReportFormat
    # What is no parameter of a report is a filter, and refused by the FilterSet where it is none.
    allowed_query_params = dict.fromkeys(
        (
            "trend",
            "funnel",
            "velocity",
            "win_loss",
            "pipeline",
            "waterfall",
            "forecast",
            "activity",
            "response_time",
            "cohort",
        )
    )

    @extend_schema(responses=forced_singular_serializer(serializers.ReportListSerializer))
    def list(self, request: Request) -> Response:
        """List the reports, with the entities they are about and their parameters."""
        shown = [self._described(request, name, *REPORTS[name]) for name in REPORTS]
        return Response(Page(shown, None, None, len(shown)).body())

    @described(TrendParameters, serializers.TrendSerializer)
    @action(methods=["get"], detail=False)
    def trend(self, request: Request) -> Any:
        """Created, won and lost by day, week, month or quarter, compared with the period before."""
        return self._answer("trend")

    @described(CohortParameters, serializers.FunnelSerializer)
    @action(methods=["get"], detail=False)
    def funnel(self, request: Request) -> Any:
        """How far the records created within a range came, and how long that took."""
        return self._answer("funnel")

    @described(CohortParameters, serializers.VelocitySerializer)
    @action(methods=["get"], detail=False)
    def velocity(self, request: Request) -> Any:
        """How long records stay in each step."""
        return self._answer("velocity")

    @described(WinLossParameters, serializers.WinLossSerializer)
    @action(methods=["get"], detail=False)
    def win_loss(self, request: Request) -> Any:
        """What was won and lost within a range, by reason or by source."""
        return self._answer("win_loss")

    @described(AsOfParameters, serializers.AsOfSerializer)
    @action(methods=["get"], detail=False)
    def pipeline(self, request: Request) -> Any:
        """What was open at the end of a past day, by step."""
        return self._answer("pipeline")

    @described(WaterfallParameters, serializers.WaterfallSerializer)
    @action(methods=["get"], detail=False)
    def waterfall(self, request: Request) -> Any:
        """What became of open amounts between two dates, in parts that add up."""
        return self._answer("waterfall")

    @described(ForecastParameters, serializers.AttainmentSerializer)
    @action(methods=["get"], detail=False)
    def forecast(self, request: Request) -> Any:
        """What each user and team has won and expects within a month or quarter, beside their goals."""
        return self._answer("forecast")

    @described(ActivityParameters, serializers.ActivityReportSerializer)
    @action(methods=["get"], detail=False)
    def activity(self, request: Request) -> Any:
        """How many activities of each type each user logged."""
        return self._answer("activity")

    @described(CohortParameters, serializers.ResponseTimeSerializer)
    @action(methods=["get"], detail=False)
    def response_time(self, request: Request) -> Any:
        """How long after their creation records had their first activity."""
        return self._answer("response_time")

    @described(CohortParameters, serializers.CohortSerializer)
    @action(methods=["get"], detail=False)
    def cohort(self, request: Request) -> Any:
        """How many of the records created in each month were won by the end of each later month."""
        return self._answer("cohort")

    def _answer(self, name: str) -> Any:
        parameters, build, _ = REPORTS[name]
        request = self.request
        own = asked_of(parameters, single_valued(request), request.user)
        given = request.query_params.lists()
        filters = {key: texts for key, texts in given if key not in parameters().fields}
        if "entity" not in parameters().fields:
            only_known(request, parameters().fields)
        for meaningless in filters.keys() & OF_PAGES:
            raise InvalidError.unknown(meaningless, parameters().fields, "unknown")
        answer = build(Asked(own, filters, request.user))
        return csv_answer(name, answer) if own["format"] == "csv" else Response(answer)

    def _described(
        self, request: Request, name: str, parameters: Any, build: Any, known: Any
    ) -> dict[str, Any]:
        return {
            "name": name,
            "title": (build.__doc__ or "").strip().rstrip("."),
            "url": request.build_absolute_uri(f"/api/v1/reports/{name}/"),
            "entities": known(),
            "parameters": list(parameters().fields),
        }


# A report is whole: what orders, divides and shapes a list has no meaning for it.
OF_PAGES = list_query.PARAMETERS - {"search", "format"}
Report = tuple[type[ReportParameters], Callable[[Asked], dict[str, Any]], Callable[[], list[str]]]
REPORTS: dict[str, Report] = {
    "trend": (TrendParameters, answers.trend_report, reported_entities.keys),
    "funnel": (CohortParameters, answers.funnel_report, reported_entities.keys),
    "velocity": (CohortParameters, answers.velocity_report, reported_entities.keys),
    "win_loss": (WinLossParameters, answers.win_loss_report, reported_entities.keys),
    "pipeline": (AsOfParameters, answers.as_of_report, with_past),
    "waterfall": (WaterfallParameters, answers.waterfall_report, with_past),
    "forecast": (ForecastParameters, answers.forecast_report, with_forecast),
    "activity": (ActivityParameters, answers.activity_report, list),
    "response_time": (CohortParameters, answers.response_time_report, reported_entities.keys),
    "cohort": (CohortParameters, answers.cohort_report, reported_entities.keys),
}
