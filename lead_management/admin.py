"""Leads in the admin site."""

from collections.abc import Mapping
from typing import Any, ClassVar

from babel.numbers import format_percent
from django import forms
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.text import format_lazy
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RangeNumericFilter
from unfold.decorators import action
from unfold.widgets import UnfoldBooleanWidget

from contacts.suggestions_admin import CompanySuggestionsAdmin
from core.access import Permission
from core.admin import calendar, columns, formats, record_page, verbs
from core.admin import home as home_page
from core.admin.about import entity_word
from core.admin.custom_inputs import entered, inputs
from core.admin.filters import ConditionFilter
from core.admin.inline_edit import edited
from core.admin.navigation import SELL, Menu
from core.admin.record_page import Fact, Reason, Summary
from core.admin.records import ADDRESS
from core.entities import entities, writing
from core.entities.custom import definitions
from core.errors import DomainError
from core.lead_scoring.answers import shown_to, stored_reasons
from core.lead_scoring.reasons import reason_in_words
from core.lead_scoring.scoring_target import target_of
from lead_management import home, related
from lead_management.board import LeadBoard
from lead_management.models import Lead, LeadStatus
from lead_management.operations import ConversionOptions, convert, lock_for_conversion, preview
from lead_management.querysets import CLOSED, HOT, IS_HOT, LEFT_ALONE_DAYS, OPEN, follow_up_due, left_alone

record_page.related.register("leads", related.build)
calendar.sources.register(
    "lead", calendar.CalendarSource(_("Follow-up"), "person_search", "next_follow_up_at", OPEN)
)
home_page.parts.register("leads", home_page.Builder(20, home.build))


# What a conversion may make.
MADE = ("company", "contact", "opportunity")


class ConvertForm(verbs.VerbForm):
    """What should become of the lead."""

    create_opportunity = forms.BooleanField(
        label=_("Create an opportunity"), required=False, initial=True, widget=UnfoldBooleanWidget
    )

    def __init__(self, request: HttpRequest, **options: Any) -> None:
        """With an input for each custom field that new records must have: the lead may not have it."""
        super().__init__(request, **options)
        for name in MADE:
            entity = entities[name].for_user(request.user)
            required = [one for one in definitions(entity) if one.required]
            for key, field in inputs(required, {}, entity.model).items():
                field.label = f"{entity_word(name)}: {field.label}"
                self.fields[f"{name}.{key}"] = field

    def options(self) -> ConversionOptions:
        given = {name: self._entered(name) for name in MADE}
        return ConversionOptions(
            create_opportunity=self.cleaned_data["create_opportunity"],
            custom_fields={name: values for name, values in given.items() if values},
        )

    def _entered(self, name: str) -> dict[str, Any]:
        """What was entered for one of the records."""
        start = f"{name}."
        own = {k.removeprefix(start): v for k, v in self.cleaned_data.items() if k.startswith(start)}
        return {key: value for key, value in entered(own).items() if value is not None}


# What saved views hold for these filters.
OPEN_ONES = [{"field": "status", "op": "not_in", "value": list(CLOSED)}]
IS_SCORED_HOT = {"field": "lead_score", "op": "gt", "value": HOT}
NOT_CONTACTED = [
    {"field": "last_contacted_at", "op": "is_empty"},
    {"field": "last_contacted_at", "op": "before", "value": {"days": -LEFT_ALONE_DAYS}},
]


class HotFilter(ConditionFilter):
    title = _("hot")
    parameter_name = "hot"
    options = (
        ("true", format_lazy(_("Open, score above {score}"), score=HOT)),
        ("left_alone", format_lazy(_("Hot, not contacted for {days} days"), days=LEFT_ALONE_DAYS)),
    )

    kept: ClassVar = {
        "true": {"all": [*OPEN_ONES, IS_SCORED_HOT]},
        "left_alone": {"all": [*OPEN_ONES, IS_SCORED_HOT, {"any": NOT_CONTACTED}]},
    }

    def condition(self, request: HttpRequest, chosen: str) -> Q:
        return IS_HOT if chosen == "true" else IS_HOT & left_alone()


class FollowUpFilter(ConditionFilter):
    title = _("follow-up")
    parameter_name = "follow_up"
    options = (("due", _("Due by the end of today")), ("none", _("Open, none planned")))
    kept: ClassVar = {
        "due": {"all": [*OPEN_ONES, {"field": "next_follow_up_at", "op": "lt", "value": "tomorrow"}]},
        "none": {"all": [*OPEN_ONES, {"field": "next_follow_up_at", "op": "is_empty"}]},
    }

    def condition(self, request: HttpRequest, chosen: str) -> Q:
        return follow_up_due(request.user) if chosen == "due" else OPEN & Q(next_follow_up_at=None)


def _in_words(reason: Mapping[str, Any]) -> str:
    """A reason of a score, with a choice by its label."""
    fields = {field.name: field for field in Lead._meta.concrete_fields}
    field = fields.get(reason["factor"])
    label = dict(field.flatchoices).get(reason["value"]) if field else None
    return reason_in_words({**reason, "value": str(label)} if label else reason)


STATUS_TONES = {
    LeadStatus.NEW: "info",
    LeadStatus.QUALIFIED: "good",
    LeadStatus.PROPOSAL: "good",
    LeadStatus.CONVERTED: "good",
    LeadStatus.LOST: "bad",
}
PRIORITY_TONES = {"high": "warn", "urgent": "bad"}


@admin.register(Lead)
class LeadAdmin(LeadBoard, CompanySuggestionsAdmin):
    menu = Menu(SELL, "person_search", 10)
    by_verb: ClassVar = {"status": (LeadStatus.CONVERTED,)}
    list_display = (
        "__str__",
        "company_name",
        "shown_status",
        "shown_score",
        "is_hot",
        "shown_priority",
        "shown_value",
        "shown_follow_up",
        "shown_contacted",
        "shown_assigned_to",
        "shown_created_at",
    )
    shown_status = edited(columns.choice_badge("status", STATUS_TONES), "status")
    shown_priority = columns.choice_badge("priority", PRIORITY_TONES, silent=("low", "medium"))
    shown_value = columns.amount("estimated_value", _("value"))
    shown_follow_up = columns.deadline(
        "next_follow_up_at", _("follow-up"), still=lambda lead: lead.status not in CLOSED
    )
    shown_contacted = columns.moment("last_contacted_at", _("contacted"))
    shown_score = columns.plain("lead_score", _("score"))
    list_filter = (
        "status",
        "priority",
        "lead_source",
        HotFilter,
        FollowUpFilter,
        ("lead_score", RangeNumericFilter),
    )
    list_select_related = (*CompanySuggestionsAdmin.list_select_related, "company")
    autocomplete_fields = (*CompanySuggestionsAdmin.autocomplete_fields, "company")
    derived = (
        "conversion_probability",
        "scored_at",
        "engagement_count",
        "converted_at",
    )
    sections = (
        (
            None,
            {
                "fields": (
                    ("first_name", "last_name"),
                    "email",
                    ("phone", "mobile"),
                    ("company", "company_name"),
                    "job_title",
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
        (_("Address"), {"fields": ADDRESS}),
    )
    actions = ("assign", "convert_selected", "merge_selected", "archive", "restore")
    actions_detail = ("convert",)

    def summary(self, request: HttpRequest, lead: Lead) -> Summary:
        """With the stored reasons of the score: points from the base, the weightiest first."""
        found = shown_to(request.user, stored_reasons(lead.pk), target_of())
        plain = super().summary(request, lead)
        most = max((abs(one["points"]) for one in found["factors"]), default=0) or 1
        reasons = [
            Reason(_in_words(one), one["points"], round(100 * abs(one["points"]) / most))
            for one in found["factors"]
        ]
        detail = _("from %(base)s, %(chance)s likely to convert") % {
            "base": found["base"],
            "chance": format_percent(found["probability"], locale=formats.locale()),
        }
        return Summary(plain.badges, plain.facts, reasons, lead.lead_score, detail)

    def badges(self, lead: Lead) -> list[Any]:
        opted_out = formats.badge(_("Do not contact"), "bad") if lead.do_not_contact else ""
        own = (self.shown_status(lead), self.is_hot(lead), self.shown_priority(lead), opted_out)
        return [*own, *super().badges(lead)]

    def facts(self, lead: Lead) -> list[Fact]:
        found = [record_page.link(_("Company"), lead.company)] if lead.company else []
        found += [Fact(_("Company"), lead.company_name)] if lead.company_name and not found else []
        found += [record_page.mail(lead.email)] if lead.email else []
        found += [record_page.phone(lead.phone)] if lead.phone else []
        found += [record_page.phone(lead.mobile, _("Mobile"))] if lead.mobile else []
        value = formats.money(lead.estimated_value, lead.currency)
        found += [Fact(_("Value"), value)] if value else []
        found.append(Fact(_("Next follow-up"), self.shown_follow_up(lead) or "-"))
        became = (lead.converted_contact, lead.converted_company, lead.converted_opportunity)
        return [*found, *(record_page.link(_("Converted to"), one) for one in became if one is not None)]

    @admin.display(description=_("hot"), ordering="lead_score")
    def is_hot(self, lead: Lead) -> str:
        """A badge where the lead is hot, and nothing where it is not."""
        hot = lead.lead_score > HOT and lead.status not in CLOSED
        return formats.badge(_("Hot"), "warn") if hot else ""

    def has_convert_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        if object_id is None:
            return self.may(request, Permission.CHANGE)
        open_ones = Lead.objects.visible_to(request.user, Permission.CHANGE).exclude(
            status=LeadStatus.CONVERTED
        )
        return str(object_id).isdigit() and open_ones.filter(pk=object_id, archived_at=None).exists()

    @action(description=_("Convert"), permissions=["convert"])
    def convert(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Asks first; converts when the answer is sent."""
        back = self.page_of(object_id)
        return self.excused(request, lambda: self._convert(request, object_id), back)

    def _convert(self, request: HttpRequest, object_id: str) -> HttpResponse:
        lead = self.seen(request, object_id)
        form = ConvertForm(request)
        if not form.is_valid():
            return verbs.page(
                self,
                request,
                gettext("Convert %(lead)s") % {"lead": lead},
                form,
                self._preview(request, lead),
                {},
            )
        lock_for_conversion()
        done = convert(
            self.entity, writing.locked(self.entity, lead.pk, request.user), request.user, form.options()
        )
        self.message_user(request, _describe(done), messages.SUCCESS)
        return HttpResponseRedirect(self.page_of(lead.pk))

    def _preview(self, request: HttpRequest, lead: Lead) -> list[str]:
        """What would be found or made, in words; or why nothing would."""
        try:
            found = preview(self.entity, lead.pk, request.user, ConversionOptions())
        except DomainError as error:
            return [str(error)]
        return [
            (_("New %(kind)s: %(name)s") if is_new else _("The %(kind)s there is: %(name)s"))
            % {"kind": entity.name, "name": name}
            for entity, name, is_new in found
        ]

    @admin.action(description=_("Convert …"), permissions=["convert"])
    def convert_selected(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        form = ConvertForm(request)
        if not form.is_valid():
            ids = self.bulk(request, queryset).result.order
            hidden = verbs.selection(request, "convert_selected")
            title = ngettext("Convert %(n)s lead", "Convert %(n)s leads", len(ids)) % {"n": len(ids)}
            return verbs.page(self, request, title, form, self.named(request, ids), hidden)
        options = form.options()
        lock_for_conversion()
        self.one_by_one(
            request, queryset, "converted", lambda lead: convert(self.entity, lead, request.user, options)
        )
        return None


def _describe(done: dict[str, Any]) -> str:
    """What a conversion did, in words."""
    parts = [
        f"{'new' if new else 'existing'} {name} {done[f'{name}_id']}" for name, new in done["created"].items()
    ]
    return gettext("Converted: %(names)s.") % {"names": ", ".join(parts)}
