"""Opportunities and pipelines in the admin site."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RangeDateFilter
from unfold.widgets import UnfoldAdminSelectWidget

from core.admin.captured import CapturedAdmin, CapturedInline
from core.admin.forms import RecordForm
from core.admin.records import RecordAdmin
from core.errors import ConflictError
from opportunities.models import Opportunity, Pipeline, Stage
from opportunities.operations import set_default
from opportunities.querysets import weighted
from opportunities.stages import default_stages


class OpportunityForm(RecordForm):
    """Offers the stages of all pipelines; without a choice the deal gets its pipeline's first stage."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "stage" in self.fields:
            rows = Stage.objects.order_by("position", "id").values_list("key", "name")
            choices = [("", "First of the pipeline"), *dict(rows).items()]
            self.fields["stage"] = forms.ChoiceField(
                choices=choices, required=False, widget=UnfoldAdminSelectWidget
            )


@admin.register(Opportunity)
class OpportunityAdmin(RecordAdmin):
    form = OpportunityForm
    list_display = (
        "name",
        "company",
        "pipeline",
        "stage",
        "status",
        "amount",
        "currency",
        "probability",
        "weighted",
        "expected_close_date",
        "owner",
        "assigned_to",
    )
    list_filter = (
        "status",
        "pipeline",
        ("company", AutocompleteSelectFilter),
        "forecast_category",
        ("expected_close_date", RangeDateFilter),
    )
    list_select_related = (*RecordAdmin.list_select_related, "company", "pipeline")
    autocomplete_fields = (*RecordAdmin.autocomplete_fields, "company", "contact", "pipeline")
    derived = ("status", "stage_changed_at")
    sections = (
        (
            None,
            {
                "fields": (
                    "name",
                    ("company", "contact"),
                    "company_name",
                    ("pipeline", "stage"),
                    ("amount", "currency"),
                    ("probability", "forecast_category"),
                    ("expected_close_date", "actual_close_date"),
                    ("lost_reason", "lead_source"),
                    "next_step",
                    "last_contacted_at",
                    "notes",
                )
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).annotate(weighted_amount=weighted())

    @admin.display(description="weighted", ordering="weighted_amount")
    def weighted(self, deal: Any) -> Any:
        return deal.weighted_amount


class StageInline(CapturedInline):
    model = Stage
    fields = ("position", "key", "name", "probability", "is_won", "is_lost", "rotting_days")
    ordering = ("position", "id")


@admin.register(Pipeline)
class PipelineAdmin(CapturedAdmin):
    """A new pipeline starts with the usual six stages, unless others are given with it."""

    list_display = ("name", "is_default", "is_active", "created_at")
    search_fields = ("name",)
    fields = ("name", "is_default", "is_active", "created_at")
    readonly_fields = ("is_default", "created_at")
    inlines = (StageInline,)
    actions = ("make_default",)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        for pipeline in queryset:
            self.delete_model(request, pipeline)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if not form.instance.stages.exists():
            Stage.objects.bulk_create(default_stages(form.instance))

    @admin.action(description="Make the default", permissions=["change"])
    def make_default(self, request: HttpRequest, queryset: QuerySet) -> None:
        """Make the selected pipeline the default; the one before is it no longer."""
        if queryset.count() != 1:
            raise ConflictError("Select one pipeline.")
        set_default(queryset.get())


@admin.register(Stage)
class StageAdmin(CapturedAdmin):
    list_display = ("name", "pipeline", "key", "position", "probability", "is_won", "is_lost", "rotting_days")
    list_filter = ("pipeline",)
    list_select_related = ("pipeline",)
    search_fields = ("key", "name")
    ordering = ("pipeline", "position", "id")
    fields = ("pipeline", "key", "name", "position", "probability", "is_won", "is_lost", "rotting_days")

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        for stage in queryset:
            self.delete_model(request, stage)
