"""Automation in the admin site: workflows in sentences, paused, resumed and tried; runs with their steps.

Workflows are written in a form (core.workflows.builder) or over the API, which checks both. Who sees and
operates what is as there: those who write automation, each what acts as somebody that they reach. Secrets are
under their mask."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy
from unfold.decorators import action
from unfold.paginator import InfinitePaginator

from core import labels
from core.access import Permission
from core.admin import columns, formats, verbs
from core.admin import home as home_page
from core.admin.filters import ConditionFilter
from core.admin.home import page_url
from core.admin.navigation import AUTOMATE, Menu
from core.admin.operated import OperatedAdmin
from core.errors import DomainError
from core.workflows import definition, email_templates_admin, home, operations  # noqa: F401
from core.workflows.api.serializers import StepSerializer, shown_to
from core.workflows.builder.view import WorkflowForm
from core.workflows.models import Workflow, WorkflowExecution
from core.workflows.readers import RunReader
from core.workflows.sentences import compared, sentences
from core.workflows.triggers import triggers
from core.workflows.trying import (
    PERIODS,
    TryForm,
    asked_days,
    in_order,
    looked_back,
    opened_of,
    record_shown,
    tried,
)

home_page.parts.register("workflows", home_page.Builder(50, home.build))

STATUS_TONES = {"active": "good", "paused": "warn"}
RUN_TONES = {
    "completed": "good",
    "failed": "bad",
    "dead": "bad",
    "denied": "bad",
    "stopped_limit": "bad",
    "held": "warn",
    "retrying": "warn",
    "waiting": "info",
    "running": "info",
    "queued": "info",
}
# Versions that are compared on one page, and runs that a workflow's page names.
VERSIONS, RUNS = 25, 8


@admin.register(Workflow)
class WorkflowAdmin(OperatedAdmin):
    menu = Menu(AUTOMATE, "account_tree", 10)
    list_display = (
        "name",
        "shown_status",
        "shown_trigger",
        "entity",
        "shown_run_as",
        "version",
        "shown_updated",
    )
    shown_status = columns.choice_badge("status", STATUS_TONES)
    shown_run_as = columns.person("run_as", gettext_lazy("acts as"))
    shown_updated = columns.moment("updated_at")
    list_filter = ("status", "trigger_type")

    @admin.display(description=gettext_lazy("when"), ordering="trigger_type")
    def shown_trigger(self, workflow: Workflow) -> str:
        return workflow.trigger_type.replace("_", " ").capitalize()

    list_select_related = ("run_as",)
    search_fields = ("name",)
    ordering = ("name", "id")
    fields = (
        ("status", "version"), "description", "run_as", ("created_by", "created_at"),
        ("updated_at", "archived_at"),
    )  # fmt: skip
    change_form_before_template = "admin/core/workflow.html"
    actions_detail = ("edit", "pause", "resume", "try_on_record", "look_back", "versions")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, Permission.ADD)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """The form of a new workflow."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        return WorkflowForm(self, request, None).answer()

    def has_edit_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.may_in(request, object_id, Q(archived_at=None))

    @action(description=gettext_lazy("Edit"), permissions=["edit"], url_path="edit", icon="edit")
    def edit(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return WorkflowForm(self, request, self.row(request, object_id)).answer()

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        """With the workflow in sentences, and its latest runs."""
        response = super().changeform_view(request, object_id, form_url, extra_context)
        shown = getattr(response, "context_data", None) or {}
        if workflow := shown.get("original"):
            reader = RunReader(request.user)
            runs = WorkflowExecution.objects.visible_to(request.user).filter(workflow=workflow)
            shown |= {
                "sentences": sentences(definition.definition_of(workflow), request.user),
                "badge": self.shown_status(workflow),
                "runs": _shown_runs(runs.order_by("-id")[:RUNS], reader),
                "runs_url": home_page.list_url(WorkflowExecution, workflow__id__exact=workflow.pk),
                "held": runs.filter(status="held").count(),
            }
        return response

    def has_pause_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.may_in(request, object_id, Q(status="active"))

    def has_resume_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.may_in(request, object_id, ~Q(status="active") & Q(archived_at=None))

    @action(description=gettext_lazy("Pause"), permissions=["pause"], url_path="pause", icon="pause")
    def pause(self, request: HttpRequest, object_id: str) -> HttpResponse:
        def work(workflow: Workflow) -> str:
            operations.pause(workflow)
            return _("Paused: no new run starts, and those under way are held before their next step.")

        return self.asked(request, object_id, _("Pause %(name)s"), work)

    @action(description=gettext_lazy("Resume"), permissions=["resume"], url_path="resume", icon="play_arrow")
    def resume(self, request: HttpRequest, object_id: str) -> HttpResponse:
        def work(workflow: Workflow) -> str:
            held = operations.resume(workflow)
            text = ngettext("Active; %(n)s held run goes on.", "Active; %(n)s held runs go on.", held)
            return text % {"n": held}

        return self.asked(request, object_id, _("Resume %(name)s"), work)

    @action(description=gettext_lazy("Versions"), permissions=["view"], url_path="versions", icon="history")
    def versions(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Every state of the definition, newest first, each compared with the one before."""
        workflow = self.get_object(request, object_id)
        if workflow is None:
            raise Http404
        found = list(workflow.versions.all()[: VERSIONS + 1])
        every = [sentences(version.definition, request.user) for version in found]
        context = {
            **self.admin_site.each_context(request),
            "title": _("Versions of %(name)s") % {"name": workflow},
            "opts": self.opts,
            "original": workflow,
            "versions": [
                (version, version.number == workflow.version, compared(before, lines))
                for version, lines, before in zip(found[:VERSIONS], every, [*every[1:], []], strict=False)
            ],
            "more": len(found) > VERSIONS,
        }
        return TemplateResponse(request, "admin/core/workflow_versions.html", context)

    @action(
        description=gettext_lazy("Try on a record"), permissions=["operate"], url_path="try", icon="science"
    )
    def try_on_record(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Asks for a record and shows what the workflow would do with it. Nothing is written or sent."""
        workflow = self.row(request, object_id)
        form = TryForm(request, workflow.entity)
        result, error = None, ""
        if form.is_valid():
            try:
                given = form.cleaned_data
                subject = given["entity"], given["record"], request.user
                result = tried(workflow, opened_of(workflow), *subject)
            except DomainError as refused:
                error = str(refused)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Try %(name)s on a record") % {"name": workflow},
            "opts": self.opts,
            "original": workflow,
            "form": form,
            "result": result,
            "error": error,
            "sent": verbs.SENT,
        }
        return TemplateResponse(request, "admin/core/workflow_try.html", context)

    def has_look_back_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Where a change starts it."""
        kinds = [one.name for one in triggers if one.on_changes]
        return self.may_in(request, object_id, Q(trigger_type__in=kinds))

    @action(
        description=gettext_lazy("Back-test"),
        permissions=["look_back"],
        url_path="backtest",
        icon="bar_chart",
    )
    def look_back(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """How often it would have run over past changes, drawn by day. Nothing is written or sent."""
        workflow = self.row(request, object_id)
        days = asked_days(request.GET)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Back-test of %(name)s") % {"name": workflow},
            "opts": self.opts,
            "original": workflow,
            "days": days,
            "periods": PERIODS,
        }
        try:
            context["past"] = looked_back(workflow, opened_of(workflow), days, request.user)
        except DomainError as refused:
            context["error"] = str(refused)
        return TemplateResponse(request, "admin/core/workflow_past.html", context)


def _shown_runs(rows: QuerySet[WorkflowExecution], reader: RunReader) -> list[dict[str, Any]]:
    """Runs as other pages name them; why one failed is told of records that the reader sees whole."""
    runs = list(rows.select_related("workflow"))
    reader.look_up(runs)
    return [_shown_run(run, reader) for run in runs]


def _shown_run(run: WorkflowExecution, reader: RunReader) -> dict[str, Any]:
    label = run.get_status_display()
    is_whole = reader.sees_record(run.entity, run.object_id) and not reader.hidden(run.entity)
    return {
        "workflow": run.workflow.name,
        "url": page_url(WorkflowExecution, run.pk),
        "title": _("Run %(id)s") % {"id": run.pk},
        "badge": formats.badge(label, RUN_TONES.get(run.status, "neutral")),
        "when": formats.when(run.created_at),
        "error": run.error if is_whole else "",
    }


class StateFilter(ConditionFilter):
    title = gettext_lazy("state")
    parameter_name = "state"
    options = (
        ("open", gettext_lazy("Waiting or running")),
        ("failed", gettext_lazy("Failed or held, 7 days")),
    )

    def condition(self, request: HttpRequest, chosen: str) -> Q:
        return home.failed() if chosen == "failed" else Q(status__in=WorkflowExecution.LIVE)


@admin.register(WorkflowExecution)
class WorkflowExecutionAdmin(OperatedAdmin):
    menu = Menu(AUTOMATE, "play_circle", 20)
    menu_title = gettext_lazy("Workflow runs")
    paginator = InfinitePaginator
    list_display = ("id", "workflow", "shown_status", "entity", "object_id", "error_code", "shown_created")
    shown_status = columns.choice_badge("status", RUN_TONES)
    shown_created = columns.moment("created_at")
    list_filter = (StateFilter, "status")
    list_select_related = ("workflow",)
    search_fields = ("=object_id",)
    ordering = ("-id",)
    actions = ("retry_selected",)
    fieldsets = (
        (None, {"fields": (("created_at", "started_at"), ("finished_at", "due_at"))}),
        (
            gettext_lazy("For those who look for a fault"),
            {
                "fields": (("event_key", "change_id"), ("attempt", "lost_leases"), ("retry_of_id", "depth")),
                "classes": ["collapse"],
            },
        ),
    )
    change_form_before_template = "admin/core/workflow_run.html"
    actions_detail = ("retry", "rerun", "cancel")

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        return lookup == "workflow__id__exact" or super().lookup_allowed(lookup, value, request)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        """With the run's steps, and the runs that came of it."""
        response = super().changeform_view(request, object_id, form_url, extra_context)
        shown = getattr(response, "context_data", None) or {}
        if run := shown.get("original"):
            shown |= self._around(run, request.user)
        return response

    def _around(self, run: WorkflowExecution, user: Any) -> dict[str, Any]:
        """As the API shows the run to this user, with what a page adds."""
        rows = list(run.steps.order_by("position"))
        data = {"steps": StepSerializer(rows, many=True).data, "error": run.error}
        reader = RunReader(user)
        found = shown_to(reader, run, data)
        seen = WorkflowExecution.objects.visible_to(user)
        after = seen.filter(Q(cause_id=run.pk) | Q(retry_of_id=run.pk))
        return {
            "badge": formats.badge(run.get_status_display(), RUN_TONES.get(run.status, "neutral")),
            "workflow": run.workflow,
            "workflow_url": page_url(Workflow, run.workflow_id),
            "record": record_shown(run.entity, run.object_id, user),
            "error": found["error"],
            "withheld": found["withheld"],
            "steps": [_shown_step(*pair, user) for pair in zip(rows, found["steps"], strict=True)],
            "after": _shown_runs(after.order_by("id")[:RUNS], reader),
            "cause_url": page_url(WorkflowExecution, run.cause_id) if run.cause_id else "",
            "payload": in_order(_beside(run, found["trigger_data"]), user),
        }

    def has_retry_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.may_in(request, object_id, Q(status__in=WorkflowExecution.RETRYABLE))

    def has_cancel_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        states = (*WorkflowExecution.LIVE, WorkflowExecution.Status.HELD)
        return self.may_in(request, object_id, Q(status__in=states))

    @action(description=gettext_lazy("Retry"), permissions=["retry"], url_path="retry", icon="replay")
    def retry(self, request: HttpRequest, object_id: str) -> HttpResponse:
        def work(run: WorkflowExecution) -> str:
            operations.retry(run)
            return _("It goes on from the step that failed; what was done stays done.")

        return self.asked(request, object_id, _("Retry %(name)s"), work)

    @action(
        description=gettext_lazy("Run again"), permissions=["operate"], url_path="rerun", icon="restart_alt"
    )
    def rerun(self, request: HttpRequest, object_id: str) -> HttpResponse:
        def work(run: WorkflowExecution) -> str:
            made = operations.rerun(run, request.user)
            return _("Run %(id)s of the present version was started.") % {"id": made.pk}

        return self.asked(request, object_id, _("Start %(name)s again from its first step"), work)

    @action(
        description=pgettext_lazy("work under way", "Cancel"),
        permissions=["cancel"],
        url_path="cancel",
        icon="cancel",
    )
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        def work(run: WorkflowExecution) -> str:
            operations.cancel(run)
            return _("Cancelled: no further step starts.")

        return self.asked(request, object_id, _("Cancel %(name)s"), work)

    @admin.action(description=gettext_lazy("Retry the failed ones"), permissions=["operate"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet) -> None:
        reached = WorkflowExecution.objects.visible_to(request.user, Permission.CHANGE)
        count = operations.retry_many(reached.filter(pk__in=queryset.values("pk")))
        self.message_user(request, ngettext("%(n)s run goes on.", "%(n)s runs go on.", count) % {"n": count})


def _beside(run: WorkflowExecution, payload: Any) -> Any:
    """What started a run, without the id of the record that it is about: its name stands there already."""
    own = f"{run.entity}_id"
    return {k: v for k, v in payload.items() if k != own} if isinstance(payload, dict) else payload


def _shown_step(step: Any, shown: dict[str, Any], user: Any) -> dict[str, Any]:
    """A step as the API shows it, with what a page adds."""
    return {
        **shown,
        "label": labels.titled(step.type),
        "badge": formats.badge(step.get_status_display(), RUN_TONES.get(step.status, "neutral")),
        "given": in_order(shown["input"], user),
        "made": in_order(shown["output"], user),
        "when": formats.when(step.finished_at or step.started_at),
        "next": formats.when(step.next_at) if step.next_at else "",
    }
