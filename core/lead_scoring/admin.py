"""Lead scoring in the admin site: models with their cards, rule sets, jobs."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from core.access import Permission
from core.admin import columns, plots
from core.admin import home as home_page
from core.admin.about import entity_word
from core.admin.navigation import AUTOMATE, SYSTEM, Menu
from core.admin.read_only import ReadOnlyAdmin
from core.lead_scoring import home, jobs, model_lifecycle
from core.lead_scoring.models import BarredFeature, ScoringJob, ScoringModel, ScoringRules
from core.lead_scoring.reasons import value_in_words
from core.lead_scoring.rule_form import ScoringRulesForm
from core.lead_scoring.rules import rules_from_json
from core.lead_scoring.scoring_target import target_of

IMPORTANT = 15


home_page.parts.register("lead_scoring", home_page.Builder(80, home.build))


@admin.register(ScoringModel)
class ScoringModelAdmin(ReadOnlyAdmin):
    menu = Menu(AUTOMATE, "network_intelligence", 60)
    list_display = (
        "__str__",
        "entity",
        "status",
        "closed_records",
        "wins",
        "log_loss",
        "auc",
        "window_end",
        "activated_at",
    )
    list_filter = ("entity", "status")
    ordering = ("-id",)
    fields = (
        "shown_entity",
        "status",
        "closed_records",
        "wins",
        "window_start",
        "window_end",
        "verdict",
        "hash",
        "trained_by",
        "created_at",
        "activated_at",
    )
    actions_detail = ("card", "activate_model")

    @admin.display(description=_("learned from"), ordering="leads")
    def closed_records(self, row: ScoringModel) -> int:
        return row.leads

    @admin.display(description=_("Log loss"))
    def log_loss(self, row: ScoringModel) -> str:
        return _metric(row, "log_loss")

    @admin.display(description=_("AUC"))
    def auc(self, row: ScoringModel) -> str:
        return _metric(row, "auc")

    @action(description=_("Model card"), permissions=["end"])
    def card(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """What the model goes by and how good it is on leads it never saw."""
        row = self.get_queryset(request).get(pk=object_id)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Model %(pk)s") % {"pk": row.pk},
            **_shown(row),
        }
        return TemplateResponse(request, "admin/core/model_card.html", context)

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.bar_feature)
        return [
            path("<int:object_id>/bar-feature/", view, name="core_scoringmodel_bar_feature"),
            *super().get_urls(),
        ]

    def bar_feature(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Have scoring learn no more from a feature that the model card suspects, and train anew."""
        if request.method != "POST" or not self.has_end_permission(request):
            raise PermissionDenied
        row = self.get_queryset(request).get(pk=object_id)
        suspect = row.card.get("suspects", {}).get(request.POST.get("feature"))
        if suspect is None:
            raise Http404
        with transaction.atomic():
            values = {"reason": suspect["evidence"], "barred_by": request.user}
            feature = request.POST["feature"]
            BarredFeature.objects.get_or_create(entity=row.entity, feature=feature, defaults=values)
            jobs.start(ScoringJob.Kind.RETRAIN, entity=row.entity)
        self.message_user(
            request, gettext("The feature is left out; a new model is being trained."), messages.SUCCESS
        )
        return HttpResponseRedirect(reverse("admin:core_scoringmodel_change", args=[object_id]))

    @action(description=_("Activate"), permissions=["end"], url_path="activate")
    def activate_model(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Score all leads with this model from now on, whatever the gate said."""
        back = reverse("admin:core_scoringmodel_change", args=[object_id])
        return self.excused(request, lambda: self._activate(request, object_id, back), back)

    def _activate(self, request: HttpRequest, object_id: str, back: str) -> HttpResponse:
        if request.method != "POST":
            row = self.get_queryset(request).get(pk=object_id)
            context = {
                **self.admin_site.each_context(request),
                "title": gettext("Activate model %(pk)s?") % {"pk": row.pk},
            }
            return TemplateResponse(
                request, "admin/core/activate_model.html", context | {"row": row, "back": back}
            )
        row = self.get_queryset(request).get(pk=object_id)
        model_lifecycle.activate(row)
        jobs.start(ScoringJob.Kind.BULK, entity=row.entity)
        self.message_user(
            request,
            gettext("Model %(object_id)s scores; all records are scored anew.") % {"object_id": object_id},
            messages.SUCCESS,
        )
        return HttpResponseRedirect(back)


def _metric(row: ScoringModel, name: str) -> str:
    value = row.card.get("metrics", {}).get(name)
    return "" if value is None else f"{value:.4f}"


# What the measures of a model are called.
METRICS = {
    "auc": _("AUC"),
    "pr_auc": _("AUC of precision and recall"),
    "log_loss": _("Log loss"),
    "brier": _("Brier score"),
    "ece": _("Calibration error"),
    "lift_10": _("Lift of the best tenth"),
}


def _shown(row: ScoringModel) -> dict[str, Any]:
    """The card as the page takes it."""
    card = row.card
    return {
        "row": row,
        "entity": entity_word(row.entity).lower(),
        "card": card,
        "metrics": [
            (METRICS.get(name, name), value, card.get("incumbent_metrics", {}).get(name))
            for name, value in card.get("metrics", {}).items()
        ],
        "reliability": plots.reliability_line(card),
        "lift": plots.lift_line(card),
        "importance": plots.bars(card.get("importance", [])[:IMPORTANT], "log_loss"),
        "bands": plots.bars(card.get("bands", []), "won"),
    }


@admin.register(ScoringRules)
class ScoringRulesAdmin(ReadOnlyAdmin):
    menu = Menu(AUTOMATE, "rule", 61)
    list_display = ("__str__", "shown_created_by", "rules", "shown_created_at")
    list_select_related = ("created_by",)
    shown_created_by = columns.person("created_by", _("saved by"))
    shown_created_at = columns.moment("created_at", _("saved"))
    ordering = ("-id",)
    list_before_template = "admin/core/scoring_rules_list.html"
    fields = ("in_words", "shown_created_by", "created_at")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.model.policy.allows(request.user, Permission.CONFIGURE)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """The present rules as a form: what is saved is the next version."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        return ScoringRulesForm(self, request).answer()

    @admin.display(description=_("rules"))
    def rules(self, row: ScoringRules) -> int:
        return len(row.content.get("rules", []))

    @admin.display(description=_("rules"))
    def in_words(self, row: ScoringRules) -> Any:
        """The base and each rule, a line each."""
        features = target_of().all_features()
        lines: list[tuple[Any, Any]] = [(_("Base"), row.content.get("base"))]
        for rule in rules_from_json(row.content).rules:
            label = features[rule.feature].spec.title if rule.feature in features else rule.feature
            lines.append((f"{label}: {value_in_words(rule.words())}", f"{rule.points:+d}"))
        return format_html_join(mark_safe("<br>"), "{}: {}", lines)


@admin.register(BarredFeature)
class BarredFeatureAdmin(ReadOnlyAdmin):
    menu = Menu(SYSTEM, "block", 31)
    list_display = ("entity", "feature", "reason", "barred_by", "created_at")
    ordering = ("feature",)


@admin.register(ScoringJob)
class ScoringJobAdmin(ReadOnlyAdmin):
    menu = Menu(SYSTEM, "work_history", 30)
    list_display = (
        "task_id",
        "kind",
        "entity",
        "status",
        "done",
        "total",
        "requested_by",
        "created_at",
        "finished_at",
    )
    list_filter = ("kind", "entity", "status")
    ordering = ("-id",)
