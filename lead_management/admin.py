"""Leads in the admin site."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from unfold.contrib.filters.admin import RangeNumericFilter
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldBooleanWidget

from core.access import Permission
from core.admin import verbs
from core.admin.records import RecordAdmin
from core.entities import writing
from core.lead_scoring.answers import stored_reasons
from core.models.fields import ADDRESS
from lead_management.models import Lead, LeadStatus
from lead_management.operations import ConversionOptions, convert
from lead_management.querysets import CLOSED, HOT, IS_HOT


class ConvertForm(verbs.VerbForm):
    """What should become of the lead."""

    create_opportunity = forms.BooleanField(required=False, initial=True, widget=UnfoldBooleanWidget)

    custom_fields = forms.JSONField(
        required=False,
        widget=UnfoldAdminTextareaWidget,
        help_text='What new records need beyond what the lead has: {"contact": {"region": "EMEA"}}.',
    )

    def options(self) -> ConversionOptions:
        given = self.cleaned_data
        return ConversionOptions(
            create_opportunity=given["create_opportunity"], custom_fields=given["custom_fields"] or {}
        )


class HotFilter(admin.SimpleListFilter):
    title = "hot"
    parameter_name = "hot"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("true", f"Open, score above {HOT}")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(IS_HOT) if self.value() == "true" else queryset


@admin.register(Lead)
class LeadAdmin(RecordAdmin):
    list_display = (
        "__str__",
        "email",
        "company_name",
        "status",
        "priority",
        "lead_source",
        "lead_score",
        "is_hot",
        "owner",
        "assigned_to",
        "created_at",
    )
    list_filter = ("status", "priority", "lead_source", HotFilter, ("lead_score", RangeNumericFilter))
    derived = (
        "lead_score",
        "why_this_score",
        "conversion_probability",
        "scored_at",
        "engagement_count",
        "converted_at",
        "converted_contact",
        "converted_company",
        "converted_opportunity",
    )
    sections = (
        (
            None,
            {
                "fields": (
                    ("first_name", "last_name"),
                    "email",
                    ("phone", "mobile"),
                    ("company_name", "job_title"),
                    ("company_size", "industry"),
                    "website",
                    ("lead_source", "priority"),
                    ("status", "lost_reason"),
                    ("estimated_value", "currency"),
                    "last_contacted_at",
                    "next_follow_up_at",
                    ("call_attempts", "do_not_contact"),
                    "notes",
                )
            },
        ),
        ("Address", {"fields": ADDRESS}),
    )
    actions = ("assign", "convert_selected", "archive", "restore")
    actions_detail = ("convert",)

    @admin.display(description="Why this score")
    def why_this_score(self, lead: Lead) -> str:
        """The stored reasons: points from the base, one to a line."""
        found = stored_reasons(lead.pk)
        lines = [f"From {found['base']}:", *(factor["text"] for factor in found["factors"])]
        return format_html_join(mark_safe("<br>"), "{}", ((line,) for line in lines))

    @admin.display(description="hot", boolean=True)
    def is_hot(self, lead: Lead) -> bool:
        return lead.lead_score > HOT and lead.status not in CLOSED

    def has_convert_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        if object_id is None:
            return self.may(request, Permission.CHANGE)
        open_ones = Lead.objects.visible_to(request.user, Permission.CHANGE).exclude(
            status=LeadStatus.CONVERTED
        )
        return str(object_id).isdigit() and open_ones.filter(pk=object_id, archived_at=None).exists()

    @action(description="Convert", permissions=["convert"])
    def convert(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Asks first; converts when the answer is sent."""
        back = self.page_of(object_id)
        return self.excused(request, lambda: self._convert(request, object_id), back)

    def _convert(self, request: HttpRequest, object_id: str) -> HttpResponse:
        lead = self.seen(request, object_id)
        form = ConvertForm(request)
        if not form.is_valid():
            return verbs.page(self, request, f"Convert {lead}", form, [], {})
        done = convert(
            self.entity, writing.locked(self.entity, lead.pk, request.user), request.user, form.options()
        )
        self.message_user(request, _describe(done), messages.SUCCESS)
        return HttpResponseRedirect(self.page_of(lead.pk))

    @admin.action(description="Convert …", permissions=["convert"])
    def convert_selected(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        form = ConvertForm(request)
        if not form.is_valid():
            ids = self.bulk(request, queryset).result.order
            hidden = verbs.selection(request, "convert_selected")
            return verbs.page(self, request, f"Convert {len(ids)} leads", form, [], hidden)
        options = form.options()
        self.one_by_one(
            request, queryset, "converted", lambda lead: convert(self.entity, lead, request.user, options)
        )
        return None


def _describe(done: dict[str, Any]) -> str:
    """What a conversion did, in words."""
    parts = [
        f"{'new' if new else 'existing'} {name} {done[f'{name}_id']}" for name, new in done["created"].items()
    ]
    return f"Converted: {', '.join(parts)}."
