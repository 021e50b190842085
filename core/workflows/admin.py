"""Automation in the admin site: workflows in sentences, paused, resumed and tried; runs with their steps.

Workflows are written over the API, which checks them whole. Who sees and operates what is as there: those who
write automation, each what acts as somebody that they reach. Secrets are under their mask.
"""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.decorators import action
from unfold.paginator import InfinitePaginator
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from core.access import Permission
from core.admin import columns, formats, verbs
from core.admin import home as home_page
from core.admin.captured import CapturedAdmin
from core.admin.filters import ConditionFilter
from core.admin.home import page_url
from core.admin.navigation import AUTOMATE, Menu
from core.conditions import parse
from core.conditions.words import ConditionWords
from core.entities import entities
from core.entities.reading import nested_refs
from core.errors import DomainError, InvalidError
from core.workflows import definition, home, operations, preview
from core.workflows.api.serializers import StepSerializer
from core.workflows.models import Workflow, WorkflowExecution
from core.workflows.sentences import compared, plain_words, sentences

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


class OperatedAdmin(CapturedAdmin):
    """Base of pages that show and have buttons: nothing is written in their forms. Rows and who presses a
    button are the policy's."""

    list_filter_submit = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_operate_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.may(request, Permission.CHANGE, object_id)

    def asked(self, request: HttpRequest, pk: str, title: str, work: Callable[[Any], str]) -> HttpResponse:
        """Ask first; once the answer is sent, do `work` on the row and say what it says."""
        back = page_url(self.model, pk)
        return self.excused(request, lambda: self._asked(request, pk, title, work), back)

    def _asked(self, request: HttpRequest, pk: str, title: str, work: Callable[[Any], str]) -> HttpResponse:
        found = self.row(request, pk)
        form = verbs.VerbForm(request)
        if not form.is_valid():
            return verbs.page(self, request, title % {"name": found}, form, [], {})
        self.message_user(request, work(found), messages.SUCCESS)
        return HttpResponseRedirect(page_url(self.model, found.pk))

    def row(self, request: HttpRequest, pk: str) -> Any:
        """The row in an address. Raises Http404 unless the user may operate it."""
        found = self.get_object(request, pk)
        if found is None or not self.has_operate_permission(request, found.pk):
            raise Http404
        return found


class TryForm(verbs.VerbForm):
    """The record that a workflow is tried on."""

    entity = forms.ChoiceField(label=gettext_lazy("Kind of record"), widget=UnfoldAdminSelectWidget)
    record = forms.IntegerField(
        label=gettext_lazy("Its number"),
        min_value=1,
        max_value=2**63 - 1,
        required=False,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=gettext_lazy("The id in the address of its page. Nothing is written or sent."),
    )

    def __init__(self, request: HttpRequest, entity: str, **options: Any) -> None:
        super().__init__(request, **options)
        names = [one for one in entities if not entity or one.name == entity]
        self.fields["entity"].choices = [  # type: ignore[attr-defined]
            (one.name, str(one.model._meta.verbose_name).capitalize()) for one in names
        ]
        self.request = request

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        entity, pk = entities.get(given.get("entity", "")), given.get("record")
        if entity and pk and not entity.visible_to(self.request.user).filter(pk=pk).exists():
            self.add_error("record", _("There is no such record that you see."))
        return given


@admin.register(Workflow)
class WorkflowAdmin(OperatedAdmin):
    menu = Menu(AUTOMATE, "account_tree", 10)
    list_display = (
        "name",
        "shown_status",
        "trigger_type",
        "entity",
        "shown_run_as",
        "version",
        "shown_updated",
    )
    shown_status = columns.choice_badge("status", STATUS_TONES)
    shown_run_as = columns.person("run_as", gettext_lazy("acts as"))
    shown_updated = columns.moment("updated_at")
    list_filter = ("status", "trigger_type")
    list_select_related = ("run_as",)
    search_fields = ("name",)
    ordering = ("name", "id")
    fields = (
        ("status", "version"), "description", "run_as", ("created_by", "created_at"),
        ("updated_at", "archived_at"),
    )  # fmt: skip
    change_form_before_template = "admin/core/workflow.html"
    actions_detail = ("pause", "resume", "try_on_record", "versions")

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
            runs = WorkflowExecution.objects.visible_to(request.user).filter(workflow=workflow)
            shown |= {
                "sentences": sentences(definition.definition_of(workflow), request.user),
                "badge": self.shown_status(workflow),
                "runs": [_shown_run(run) for run in runs.order_by("-id")[:RUNS]],
                "runs_url": home_page.list_url(WorkflowExecution, workflow__id__exact=workflow.pk),
                "held": runs.filter(status="held").count(),
            }
        return response

    def has_pause_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._is(request, object_id, Q(status="active"))

    def has_resume_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._is(request, object_id, ~Q(status="active") & Q(archived_at=None))

    def _is(self, request: HttpRequest, object_id: Any, state: Q) -> bool:
        """Whether the user operates the workflow, and it is in a state where the button means something."""
        rows = Workflow.objects.visible_to(request.user, Permission.CHANGE).filter(state)
        return object_id is None or (str(object_id).isdecimal() and rows.filter(pk=object_id).exists())

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
                result = self._tried(workflow, form.cleaned_data, request.user)
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

    def _tried(self, workflow: Workflow, given: dict[str, Any], user: Any) -> dict[str, Any]:
        """Raises DomainError for a definition that no longer holds."""
        made = definition.definition_of(workflow)
        opened = made | {"actions": definition.unsealed(made["actions"])}
        definition.check(opened, workflow.run_as, workflow.run_as)
        name, pk = given["entity"], given["record"]
        found = preview.dry_run(workflow, opened, pk, workflow.run_as, {}, name)
        for one in found["conditions"]:
            one["words"] = _in_words(workflow.entity or name, one["condition"], user)
        for one in found["actions"]:
            one["place"], one["shown"] = _place(one["path"]), _in_order(one.get("would"))
        return found | {"record": _record(name, pk, user)}


def _in_words(entity: str, raw: Any, user: Any) -> str:
    try:
        condition = parse(entities[entity], raw, changes=True)
    except InvalidError:
        return str(raw)
    return str(_(" and ")).join(ConditionWords(user, [condition]).parts(condition))


def _record(entity: str, pk: int | None, user: Any) -> dict[str, str] | None:
    """What a run is about, where the user sees it."""
    if not pk or entity not in entities:
        return None
    found = nested_refs(entity, {pk}, user).get(pk)
    if found is None:
        return {"title": f"{entity} {pk}", "url": ""}
    return {"title": found["name"], "url": page_url(entities[entity].model, pk)}


def _shown_run(run: WorkflowExecution) -> dict[str, Any]:
    label = run.get_status_display()
    return {
        "url": page_url(WorkflowExecution, run.pk),
        "title": _("Run %(id)s") % {"id": run.pk},
        "badge": formats.badge(label, RUN_TONES.get(run.status, "neutral")),
        "when": formats.when(run.created_at),
        "error": run.error,
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
    fields = (
        ("event_key", "change_id"), ("attempt", "lost_leases"), ("retry_of_id", "depth"),
        ("created_at", "started_at"), ("finished_at", "due_at"),
    )  # fmt: skip
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
        seen = WorkflowExecution.objects.visible_to(user)
        after = seen.filter(Q(cause_id=run.pk) | Q(retry_of_id=run.pk)).select_related("workflow")
        return {
            "badge": formats.badge(run.get_status_display(), RUN_TONES.get(run.status, "neutral")),
            "workflow": run.workflow,
            "workflow_url": page_url(Workflow, run.workflow_id),
            "record": _record(run.entity, run.object_id, user),
            "steps": [_shown_step(step) for step in run.steps.order_by("position")],
            "after": [
                _shown_run(one) | {"workflow": one.workflow.name} for one in after.order_by("id")[:RUNS]
            ],
            "cause_url": page_url(WorkflowExecution, run.cause_id) if run.cause_id else "",
            "payload": _in_order(run.trigger_data),
        }

    def has_retry_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._in(request, object_id, WorkflowExecution.RETRYABLE)

    def has_cancel_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._in(request, object_id, (*WorkflowExecution.LIVE, WorkflowExecution.Status.HELD))

    def _in(self, request: HttpRequest, object_id: Any, states: Any) -> bool:
        rows = WorkflowExecution.objects.visible_to(request.user, Permission.CHANGE).filter(status__in=states)
        return object_id is None or (str(object_id).isdecimal() and rows.filter(pk=object_id).exists())

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

    @action(description=gettext_lazy("Cancel"), permissions=["cancel"], url_path="cancel", icon="cancel")
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


def _in_order(given: Any) -> list[tuple[str, str]]:
    """Names and values of an object as people read them."""
    return (
        [(name, plain_words(value)) for name, value in sorted(given.items())]
        if isinstance(given, dict)
        else []
    )


def _place(path: str) -> str:
    """Where a step stands, counted from 1: "2.then.1"."""
    return ".".join(str(int(part) + 1) if part.isdecimal() else part for part in path.split("."))


def _shown_step(step: Any) -> dict[str, Any]:
    """A step as the API shows it, with what a page adds."""
    shown = StepSerializer(step).data
    return {
        **shown,
        "label": step.type.replace("_", " ").capitalize(),
        "badge": formats.badge(step.get_status_display(), RUN_TONES.get(step.status, "neutral")),
        "given": _in_order(shown["input"]),
        "made": _in_order(shown["output"]),
        "when": formats.when(step.finished_at or step.started_at),
        "next": formats.when(step.next_at) if step.next_at else "",
    }
