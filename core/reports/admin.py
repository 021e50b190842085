"""Goals and the drawings of reports in the admin site."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from babel.numbers import format_percent
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import ValidationError

from core import labels
from core.admin import formats
from core.admin.captured import CapturedAdmin
from core.admin.forms import OVERRIDES
from core.admin.navigation import SELL, Link, Menu, links
from core.errors import DomainError
from core.reports import answers
from core.reports.answers import Asked
from core.reports.api.goals import check_reach
from core.reports.api.parameters import (
    CohortParameters,
    ForecastParameters,
    ReportParameters,
    TrendParameters,
    WaterfallParameters,
    asked_of,
)
from core.reports.drawings import funnel_drawing, trend_drawing, waterfall_drawings
from core.reports.models import Goal
from core.reports.periods import Unit
from core.reports.reported import reported_entities, with_past

links.register("reports", Link(Menu(SELL, "monitoring", 70), _("Reports"), "admin:core_reports"))


@admin.register(Goal)
class GoalAdmin(CapturedAdmin):
    menu = Menu(SELL, "flag", 71)
    formfield_overrides = OVERRIDES
    list_display = ("of", "period", "start", "metric", "shown_target")
    list_filter = ("period", "metric")
    list_select_related = ("user", "team")
    ordering = ("-start", "id")
    fields = (("user", "team"), ("period", "start"), ("metric", "target", "currency"))

    @admin.display(description=_("whose"))
    def of(self, goal: Goal) -> str:
        return str(goal.user or goal.team)

    @admin.display(description=_("target"), ordering="target")
    def shown_target(self, goal: Goal) -> str:
        if goal.metric == Goal.Metric.COUNT:
            return f"{goal.target:.0f}"
        return formats.money(goal.target, goal.currency)

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.reports)
        return [path("reports/", view, name="core_reports"), *super().get_urls()]

    def save_model(self, request: HttpRequest, obj: Goal, form: Any, change: bool) -> None:
        check_reach(request.user, obj)
        super().save_model(request, obj, form, change)

    def reports(self, request: HttpRequest) -> HttpResponse:
        """Trend, funnel, waterfall and forecast of what the reader may see."""
        params = {name: text for name, text in request.GET.dict().items() if name in SHOWN}
        try:
            shown = _shown(request.user, params)
            error = ""
        except (ValidationError, DomainError) as refused:
            shown, error = _shown(request.user, {}), str(getattr(refused, "message", refused))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Reports"),
            "params": params,
            "error": error,
            "units": [(unit, labels.titled(unit)) for unit in Unit.values],
            "entities": [(name, labels.titled(name)) for name, _entity in reported_entities.items()],
        }
        return TemplateResponse(request, "admin/core/reports.html", context | shown)


SHOWN = ("entity", "start", "end", "period")


def _shown(user: Any, params: Mapping[str, str]) -> dict[str, Any]:
    def report(parameters: type[ReportParameters], build: Any) -> dict[str, Any]:
        return build(Asked(asked_of(parameters, {k: v for k, v in params.items() if v}, user), {}, user))

    trend = report(TrendParameters, answers.trend_report)
    funnel = report(CohortParameters, answers.funnel_report)
    if reported_entities[funnel["entity"]].scope is None:  # the steps are a closed set of ours
        rows = [row | {"label": labels.label(row["label"])} for row in funnel["rows"]]
        funnel = funnel | {"rows": rows}
    found = {
        "trend": trend,
        "trend_drawing": trend_drawing(trend),
        "won": formats.totals(_amounts(trend["totals"]["by_currency"], "won_value")),
        "funnel": funnel,
        "funnel_rows": [row | {"share": _percent(row["conversion"])} for row in funnel["rows"]],
        "funnel_drawing": funnel_drawing(funnel),
    }
    if trend["entity"] not in with_past():
        return found
    waterfall = report(WaterfallParameters, answers.waterfall_report)
    own = asked_of(ForecastParameters, {"entity": trend["entity"]}, user)
    forecast = answers.forecast_report(Asked(own, {}, user))
    return found | {
        "waterfall": waterfall,
        "waterfall_drawings": waterfall_drawings(waterfall),
        "forecast": forecast,
        "forecast_rows": [_forecast_row(row) for row in forecast["rows"]],
    }


def _forecast_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A line of the forecast as people read it."""
    sums = (_amounts(row["by_currency"], name) for name in ("won", "commit", "best_case"))
    columns = [" · ".join(formats.by_size(amounts)) for amounts in sums]
    return {"label": row["label"], "goals": [_goal(one) for one in row["goals"]], "columns": columns}


def _goal(goal: Mapping[str, Any]) -> dict[str, str]:
    """What is attained and aimed at: money, or a count."""
    found = {name: Decimal(str(goal[name] or 0)) for name in ("attained", "target")}
    if not goal["currency"]:
        return {name: str(number.normalize()) for name, number in found.items()}
    return {name: formats.short_money(amount, goal["currency"]) for name, amount in found.items()}


def _amounts(by_currency: Mapping[str, Any], name: str) -> dict[str, Decimal]:
    return {code: Decimal(str(sums[name])) for code, sums in by_currency.items()}


def _percent(share: Any) -> str:
    return "-" if share is None else str(format_percent(share, locale=formats.locale()))
