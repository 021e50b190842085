"""Workflows over HTTP."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core import jobs
from core.access import Permission, scopes
from core.accounts.models import User
from core.api.bodies import only, takes_no_body
from core.api.pagination import numbered
from core.api.parameters import PAGES
from core.api.resources import ResourceViewSet
from core.api.schema.parts import ANYTHING, ID, JSON, TEXT, object_of, page_of, ref
from core.entities import entities
from core.entities.field_types import Integer
from core.errors import ConflictError, InvalidError, NotVisibleError
from core.workflows import backtest, definition, engine, inbound, operations, preview
from core.workflows.actions import actions
from core.workflows.api.executions import RUN_PARAMETERS, runs_asked_for, shown_runs
from core.workflows.api.serializers import VersionSerializer, WorkflowSerializer
from core.workflows.matching import RUN_JOB
from core.workflows.models import Workflow
from core.workflows.triggers import triggers

DAYS = object_of({"days": {"type": "integer", "minimum": 1, "maximum": 90}})
STARTED = object_of({"success": {"type": "boolean"}, "execution_id": ID, "status": TEXT})


class WorkflowSaving(ResourceViewSet):
    """What saving and deleting a workflow entails."""

    def perform_create(self, serializer: Any) -> None:
        workflow = self.saved(serializer, created_by=self.request.user)
        self._after(workflow)

    def perform_update(self, serializer: Any) -> None:
        self._after(self.saved(serializer))

    def _after(self, workflow: Workflow) -> None:
        """What the database numbered, and an address where the trigger needs one."""
        if workflow.trigger_type == inbound.TRIGGER and not workflow.hook_key:
            self._secret = inbound.new_secret(workflow)
        workflow.refresh_from_db(fields=["version", "entity"])
        if workflow.is_active:
            operations.let_go(workflow)

    def perform_destroy(self, instance: Workflow) -> None:
        """Archived: its history stays, its runs are held."""
        instance.archived_at, instance.status = timezone.now(), Workflow.Status.PAUSED
        instance.save(update_fields=["archived_at", "status", "updated_at"])


class WorkflowRuns(ResourceViewSet):
    """Running one by hand, and the runs there were."""

    @extend_schema(request={JSON: ANYTHING}, responses={202: STARTED})
    @action(methods=["post"], detail=True)
    def execute(self, request: Request, pk: str) -> Response:
        """Start a run by hand: `{"lead_id": 123}`; anything else in the body is its payload."""
        workflow = self.get_object()
        definition.require_scopes(definition.definition_of(workflow), request.user)
        data = _object(request)
        record_seen(request.user, workflow, data)
        run = engine.queue_workflow(workflow, data, requested_by=request.user.pk)
        jobs.enqueue(RUN_JOB)
        return Response({"success": True, "execution_id": run.pk, "status": run.status}, status=202)

    @extend_schema(
        operation_id="workflows_executions_list",
        responses={200: page_of(ref("Execution"))},
        parameters=RUN_PARAMETERS,
        filters=False,
    )
    @action(methods=["get"], detail=True)
    def executions(self, request: Request, pk: str) -> Response:
        """The workflow's runs, newest first."""
        return Response(numbered(request, runs_asked_for(request, self.get_object()), shown_runs).body())


class WorkflowPast(ResourceViewSet):
    """Its versions, and a secret that is replaced."""

    @extend_schema(
        operation_id="workflows_versions_list",
        responses=VersionSerializer(many=True),
        filters=False,
    )
    @action(methods=["get"], detail=True)
    def versions(self, request: Request, pk: str) -> Response:
        """Every state of the definition, newest first."""
        rows = self.get_object().versions.all()
        return Response(numbered(request, rows, lambda part: VersionSerializer(part, many=True).data).body())

    @extend_schema(request=None, responses={200: object_of({"url": TEXT, "secret": TEXT})})
    @action(methods=["post"], detail=True)
    @takes_no_body
    def rotate_secret(self, request: Request, pk: str) -> Response:
        """A new secret for an inbound webhook, shown this once."""
        workflow = self.get_object()
        if workflow.trigger_type != inbound.TRIGGER:
            raise ConflictError("Only a workflow with an inbound webhook has a secret.")
        secret = inbound.new_secret(workflow)
        return Response({"url": inbound.hook_url(workflow), "secret": secret})


class WorkflowSwitches(ResourceViewSet):
    """Whether it runs."""

    @extend_schema(request=None, responses={200: WorkflowSerializer})
    @action(methods=["post"], detail=True)
    @takes_no_body
    def pause(self, request: Request, pk: str) -> Response:
        """Start no new runs; those under way rest before their next step."""
        workflow = self.get_object()
        operations.pause(workflow)
        return Response(self.get_serializer(workflow).data)

    @extend_schema(request=None, responses={200: WorkflowSerializer})
    @action(methods=["post"], detail=True)
    @takes_no_body
    def resume(self, request: Request, pk: str) -> Response:
        """Activate; runs that rested go on."""
        workflow = self.get_object()
        definition.require_scopes(definition.definition_of(workflow), request.user)
        operations.resume(workflow)
        return Response(self.get_serializer(workflow).data)


class WorkflowQuestions(ResourceViewSet):
    """What a trial is asked."""

    def _asked(self, pk: str) -> Workflow:
        """The workflow, without a lock: nothing will be written."""
        rows = (
            self.get_queryset().select_related("run_as").filter(pk=pk if pk.isdigit() and len(pk) < 19 else 0)
        )
        found = rows.first()
        if found is None:
            raise NotVisibleError("Not found.")
        return found

    def _definition(self, workflow: Workflow) -> dict[str, Any]:
        if workflow.entity:
            scopes.require(self.request.user, entities[workflow.entity].plural)
        given = definition.definition_of(workflow)
        definition.check(given, workflow.run_as)
        return given


class WorkflowTrials(WorkflowQuestions):
    """Trying it without effect."""

    @extend_schema(request={JSON: ANYTHING}, responses={200: ANYTHING})
    @action(methods=["post"], detail=True)
    def test(self, request: Request, pk: str) -> Response:
        """Dry run on one record: which conditions hold, what each action would do. Changes nothing."""
        workflow = self._asked(pk)
        data = _object(request)
        object_id = record_seen(request.user, workflow, data)
        made = preview.dry_run(workflow, self._definition(workflow), object_id, workflow.run_as, data)
        return Response(made)

    @extend_schema(
        request={JSON: DAYS},
        responses={200: ANYTHING},
    )
    @action(methods=["post"], detail=True)
    def backtest(self, request: Request, pk: str) -> Response:
        """How often it would have run over the last days of real changes, on which records, doing what."""
        workflow = self._asked(pk)
        days = only(request, {"days": Integer(min_value=1, max_value=backtest.MAX_DAYS)}).get("days", 7)
        return Response(backtest.backtest(workflow, self._definition(workflow), workflow.run_as, days))


class WorkflowVocabulary(ResourceViewSet):
    """What workflows can be written in."""

    @extend_schema(responses={200: ANYTHING})
    @action(methods=["get"], detail=False)
    def vocabulary(self, request: Request) -> Response:
        """The triggers and actions there are, with their parameters."""
        return Response({"triggers": [_told(t, t.settings) for t in triggers], "actions": _actions()})


class WorkflowViewSet(
    WorkflowVocabulary, WorkflowSaving, WorkflowRuns, WorkflowPast, WorkflowSwitches, WorkflowTrials
):
    """Automation: what is to happen when. Written by administrators and managers."""

    model = Workflow
    queryset = Workflow.objects.filter(archived_at=None).order_by("-id")
    serializer_class = WorkflowSerializer
    filterset_fields = ("status", "trigger_type", "entity", "name")
    ordering_fields = ("name", "status", "created_at", "updated_at", "id")
    taking = {"list": None, "executions": None, "versions": PAGES}
    _secret = ""
    access = {"executions": Permission.VIEW, "versions": Permission.VIEW, "vocabulary": Permission.VIEW}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        # A dry run keeps nothing, not even an answer: it opens its own transaction, which is read-only.
        if self.action in ("test", "backtest"):
            self.writes_in_transaction = False
        super().initial(request, *args, **kwargs)

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The secret of an inbound webhook is shown this once."""
        response = super().create(request, *args, **kwargs)
        response.data |= {"hook_secret": self._secret} if self._secret else {}
        return response


def record_seen(user: User, workflow: Workflow, data: dict[str, Any]) -> int | None:
    """The id of the record named in the body, if whoever asks may see it. Raises NotVisibleError."""
    name, object_id = engine.record_named(data, workflow.entity)
    if object_id is not None:
        scopes.require(user, entities[name].plural)
        if not entities[name].visible_to(user).filter(pk=object_id).exists():
            raise NotVisibleError(f"There is no such {name}.")
    return object_id


def _actions() -> list[dict[str, Any]]:
    return [_told(a, a.params) for a in actions]


def _told(item: Any, params: Any) -> dict[str, Any]:
    shown = [
        {"name": p.name, "required": p.required, "template": p.template, "help": p.help_text} for p in params
    ]
    return {"name": item.name, "models": list(item.entities), "help": item.help_text, "params": shown}


def _object(request: Request) -> dict[str, Any]:
    """The body, which must be an object."""
    if not isinstance(request.data or {}, dict):
        raise InvalidError.of("", "Expected an object.", "not_an_object")
    return dict(request.data or {})
