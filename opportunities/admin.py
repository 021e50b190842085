"""Opportunities and pipelines in the admin site."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Max, OuterRef, Q, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget

from contacts.models import Contact
from core.access import Permission
from core.admin import columns, formats, record_page
from core.admin import home as home_page
from core.admin.captured import CapturedAdmin, CapturedInline
from core.admin.filters import ConditionFilter, DayRangeFilter, RecordSelectFilter
from core.admin.forms import RecordForm
from core.admin.home import list_url, page_url
from core.admin.inline_edit import edited
from core.admin.navigation import DATA, SELL, Menu
from core.admin.ordering import Ordered, order_page
from core.admin.record_page import Fact
from core.admin.records import RecordAdmin
from core.entities.blanking import any_shown_to, with_related_shown
from core.errors import ConflictError
from core.lead_scoring.reasons import reason_in_words
from opportunities import home, related
from opportunities.board import OpportunityBoard
from opportunities.deal_contacts import AT_MOST, remove
from opportunities.models import LostReason, Opportunity, OpportunityContact, Pipeline, Stage
from opportunities.operations import set_default
from opportunities.querysets import CLOSING_WEEKS, OPEN, closing, weighted, won_this_month
from opportunities.stages import default_stages
from opportunities.win_probability import win_probability

record_page.related.register("opportunities", related.build)
home_page.parts.register("opportunities", home_page.Builder(30, home.build))


# What saved views hold for this filter.
OPEN_ONES = [{"field": "status", "value": "open"}]
CLOSES_SOON = {"weeks": CLOSING_WEEKS}


class ClosingFilter(ConditionFilter):
    title = _("closing")
    parameter_name = "closing"
    options = (
        ("soon", format_lazy(_("Within {weeks} weeks, or late"), weeks=CLOSING_WEEKS)),
        ("late", _("Late")),
        ("won_this_month", _("Won this month")),
    )

    kept: ClassVar = {
        "soon": {"all": [*OPEN_ONES, {"field": "expected_close_date", "op": "lte", "value": CLOSES_SOON}]},
        "late": {"all": [*OPEN_ONES, {"field": "expected_close_date", "op": "lt", "value": "today"}]},
    }

    def condition(self, request: HttpRequest, chosen: str) -> Q:
        today = timezone.localdate()
        conditions = {
            "soon": closing(today),
            "late": OPEN & Q(expected_close_date__lt=today),
            "won_this_month": won_this_month(today),
        }
        return conditions[chosen]


class OpportunityForm(RecordForm):
    """Offers the stages of all pipelines; without a choice the deal gets its pipeline's first stage."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "stage" in self.fields:
            rows = Stage.objects.order_by("position", "id").values_list("key", "name")
            choices = [("", gettext("First of the pipeline")), *dict(rows).items()]
            self.fields["stage"] = forms.ChoiceField(
                choices=choices, required=False, widget=UnfoldAdminSelectWidget
            )


class OpportunityContactForm(forms.ModelForm):
    def clean_contact(self) -> Contact:
        """Of the archived, and of those that one does not see, only who is a contact of the deal already."""
        contact = self.cleaned_data["contact"]
        if contact.is_unseen and "contact" in self.changed_data:
            raise ValidationError(_("There is no such contact."), code="does_not_exist")
        if contact.archived_at is not None and "contact" in self.changed_data:
            raise ValidationError(_("This contact is archived."), code="does_not_exist")
        return contact


class OpportunityContactInline(CapturedInline):
    """The contacts of a deal beside the primary one, and the role of that one, who is chosen above."""

    model = OpportunityContact
    form = OpportunityContactForm
    fields = ("contact", "role", "role_text", "primary")
    readonly_fields = ("primary",)
    autocomplete_fields = ("contact",)
    max_num = AT_MOST
    verbose_name = _("contact")
    verbose_name_plural = _("contacts")

    @admin.display(description=_("primary"), boolean=True)
    def primary(self, row: OpportunityContact) -> bool:
        return row.pk is not None and row.is_primary

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "contact":
            kwargs["queryset"] = any_shown_to(request.user, Contact.objects.all())
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows = super().get_queryset(request).select_related("contact")
        return with_related_shown(request.user, rows)


STATUS_TONES = {"open": "info", "won": "good", "lost": "bad"}


@admin.register(Opportunity)
class OpportunityAdmin(OpportunityBoard):
    menu = Menu(SELL, "handshake", 20)
    form = OpportunityForm
    list_display = (
        "name",
        "company",
        "shown_stage",
        "shown_amount",
        "shown_chance",
        "weighted",
        "shown_close",
        "shown_next_step",
        "shown_assigned_to",
        "shown_owner",
        "shown_created_at",
    )
    shown_amount = columns.amount("amount")
    shown_next_step = edited(columns.plain("next_step", _("next step")), "next_step")
    shown_close = columns.deadline(
        "expected_close_date", _("expected close"), still=lambda deal: deal.status == "open"
    )
    list_filter = (
        "status",
        ClosingFilter,
        "pipeline",
        ("company", RecordSelectFilter),
        "forecast_category",
        ("expected_close_date", DayRangeFilter),
    )
    list_select_related = (*RecordAdmin.list_select_related, "company", "pipeline")
    autocomplete_fields = (*RecordAdmin.autocomplete_fields, "company", "contact", "pipeline")
    inlines = (OpportunityContactInline,)
    derived = (
        "status",
        "stage_changed_at",
        "win_score",
        "shown_chance",
        "why_this_probability",
        "scored_at",
    )
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
        stage = Stage.objects.filter(pipeline=OuterRef("pipeline"), key=OuterRef("stage"))
        rows = super().get_queryset(request)
        return rows.annotate(weighted_amount=weighted(), stage_name=Subquery(stage.values("name")[:1]))

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """With who looks at it: the reasons of its score depend on that."""
        found = super().get_object(request, *args, **kwargs)
        if found is not None:
            found.reader = request.user
        return found

    @admin.display(description=_("stage"), ordering="stage")
    def stage_badge(self, deal: Any) -> Any:
        """The stage by its name, coloured by what became of the deal."""
        return formats.badge(deal.stage_name or deal.stage, STATUS_TONES[deal.status])

    shown_stage = edited(stage_badge, "stage")

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Whoever is taken from the deal is its primary contact no longer."""
        for row in formset.save(commit=False):
            row.save()
        for row in formset.deleted_objects:
            remove(row, request.user)

    def badges(self, deal: Any) -> list[Any]:
        return [self.stage_badge(deal), *super().badges(deal)]

    def facts(self, deal: Any) -> list[Fact]:
        found = [Fact(_("Amount"), formats.money(deal.amount, deal.currency) or "-")]
        if deal.status == "open":
            found.append(Fact(_("Expected close"), self.shown_close(deal) or "-"))
        else:
            found.append(Fact(_("Closed"), formats.when(deal.actual_close_date) or "-"))
        found += [Fact(_("Next step"), deal.next_step)] if deal.next_step else []
        found += [record_page.link(_("Company"), deal.company)] if deal.company else []
        return [*found, *([record_page.link(_("Contact"), deal.contact)] if deal.contact else [])]

    @admin.display(description=_("win probability"), ordering="win_probability")
    def shown_chance(self, deal: Any) -> str:
        return formats.percent(deal.win_probability)

    @admin.display(description=_("Why this probability"))
    def why_this_probability(self, deal: Any) -> str:
        """The reasons of the win probability: points from the base, one to a line."""
        found = win_probability(deal, deal.reader)
        if found["probability"] is None:
            return gettext("No model scores deals yet.")
        lines = [
            gettext("From %(found)s:") % {"found": found["base"]},
            *(reason_in_words(factor) for factor in found["factors"]),
        ]
        return format_html_join(mark_safe("<br>"), "{}", ((line,) for line in lines))

    @admin.display(description=_("weighted"), ordering="weighted_amount")
    def weighted(self, deal: Any) -> Any:
        return formats.money(deal.weighted_amount, deal.currency)


class StageInline(CapturedInline):
    model = Stage
    fields = ("key", "name", "probability", "is_won", "is_lost", "rotting_days")
    ordering = ("position", "id")


class LostReasonInline(CapturedInline):
    model = LostReason
    fields = ("key", "name", "is_active")
    ordering = ("position", "id")


@admin.register(LostReason)
class LostReasonAdmin(CapturedAdmin):
    """Those of one pipeline stand on its page too."""

    menu = Menu(DATA, "block", 42)
    list_display = ("name", "pipeline", "key", "position", "is_active")
    list_filter = ("pipeline", "is_active")
    list_select_related = ("pipeline",)
    search_fields = ("key", "name")
    ordering = ("pipeline", "position", "id")
    fields = ("pipeline", "key", "name", "position", "is_active")
    actions_list = ("order",)

    @action(description=_("Order"), permissions=["change"], url_path="order", icon="swap_vert")
    def order(self, request: HttpRequest) -> HttpResponse:
        """The reasons of every pipeline are put into their order."""
        rows = LostReason.objects.order_by("position", "id")
        lists = [Ordered("all", _("Of all pipelines"), rows.filter(pipeline=None))]
        lists += [
            Ordered(f"of{one.pk}", one.name, rows.filter(pipeline=one)) for one in Pipeline.objects.all()
        ]
        shown = [one for one in lists if one.rows.exists()]
        return order_page(self, request, _("Order of lost reasons"), shown, list_url(LostReason))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        for reason in queryset:
            self.delete_model(request, reason)


@admin.register(Pipeline)
class PipelineAdmin(CapturedAdmin):
    """A new pipeline starts with the usual six stages, unless others are given with it."""

    menu = Menu(DATA, "conversion_path", 40)
    list_display = ("name", "is_default", "is_active", "created_at")
    search_fields = ("name",)
    fields = ("name", "is_default", "is_active", "created_at")
    readonly_fields = ("is_default", "created_at")
    inlines = (StageInline, LostReasonInline)
    actions = ("make_default",)
    actions_detail = ("order",)

    def has_order_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.may(request, Permission.CHANGE, object_id)

    @action(description=_("Order of stages"), permissions=["order"], url_path="order", icon="swap_vert")
    def order(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Stages and lost reasons are put into their order."""
        pipeline = self.get_object(request, object_id)
        if pipeline is None:
            raise Http404
        lists = [Ordered("stages", _("Stages"), pipeline.stages.order_by("position", "id"), _percent)]
        reasons = pipeline.lost_reasons.order_by("position", "id")
        lists += [Ordered("reasons", _("Lost reasons"), reasons)] if reasons.exists() else []
        back = page_url(Pipeline, pipeline.pk)
        return order_page(self, request, _("Order of %(pipeline)s") % {"pipeline": pipeline}, lists, back)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """What is added stands behind the others."""
        behind = formset.queryset.aggregate(Max("position"))["position__max"]
        new = [row for row in (one.instance for one in formset.extra_forms) if row.pk is None]
        for i, row in enumerate(new):
            row.position = (-1 if behind is None else behind) + 1 + i
        super().save_formset(request, form, formset, change)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        for pipeline in queryset:
            self.delete_model(request, pipeline)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if not form.instance.stages.exists():
            Stage.objects.bulk_create(default_stages(form.instance))

    @admin.action(description=_("Make the default"), permissions=["change"])
    def make_default(self, request: HttpRequest, queryset: QuerySet) -> None:
        """Make the selected pipeline the default; the one before is it no longer."""
        if queryset.count() != 1:
            raise ConflictError(gettext("Select one pipeline."))
        set_default(queryset.get())


def _percent(stage: Stage) -> str:
    return f"{stage.probability} %"


@admin.register(Stage)
class StageAdmin(CapturedAdmin):
    menu = Menu(DATA, "view_column", 41)
    list_display = ("name", "pipeline", "key", "position", "probability", "is_won", "is_lost", "rotting_days")
    list_filter = ("pipeline",)
    list_select_related = ("pipeline",)
    search_fields = ("key", "name")
    ordering = ("pipeline", "position", "id")
    fields = ("pipeline", "key", "name", "position", "probability", "is_won", "is_lost", "rotting_days")

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        for stage in queryset:
            self.delete_model(request, stage)
