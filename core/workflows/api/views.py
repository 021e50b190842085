"""Workflows over HTTP."""

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core import jobs
from core.access import Permission, scopes
from core.api.bodies import takes_no_body, validated_body
from core.api.parameters import PAGES
from core.api.resources import ResourceViewSet
from core.api.schema.lists import nested_list_parameters
from core.conditions import related
from core.entities import entities
from core.errors import ConflictError, NotVisibleError
from core.workflows import backtest, definition, engine, inbound, operations, preview
from core.workflows.actions import actions
from core.workflows.api.executions import ExecutionViewSet
from core.workflows.api.serializers import (
    BacktestResultSerializer,
    BacktestSerializer,
    DryRunSerializer,
    ExecuteSerializer,
    ExecutionSerializer,
    HookSecretSerializer,
    RecordDataSerializer,
    StartedSerializer,
    VersionSerializer,
    VocabularySerializer,
    WorkflowSerializer,
)
from core.workflows.matching import RUN_JOB
from core.workflows.models import Workflow
from core.workflows.readers import RunReader
from core.workflows.saving import take_up
from core.workflows.triggers import triggers


class WorkflowViewSet(ResourceViewSet):
    """Workflows: triggers, conditions and actions. Administrators and managers write them."""

    model = Workflow
    queryset = Workflow.objects.filter(archived_at=None).order_by("-id")
    serializer_class = WorkflowSerializer
    filterset_fields = ("status", "trigger_type", "entity", "name")
    ordering_fields = ("name", "status", "created_at", "updated_at", "id")
    allowed_query_params = {"list": None, "executions": None, "versions": PAGES}
    secret_answers = {"create": ("hook_secret",), "rotate_secret": ("secret",)}
    _secret = ""
    action_permissions = {
        "executions": Permission.VIEW,
        "versions": Permission.VIEW,
        "vocabulary": Permission.VIEW,
    }

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        # A dry run stores nothing, not even an answer: it opens its own transaction, which is read-only.
        if self.action in ("test", "backtest"):
            self.writes_in_transaction = False
        super().initial(request, *args, **kwargs)

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Create a workflow; the secret of an inbound webhook is shown only in this answer."""
        response = super().create(request, *args, **kwargs)
        response.data |= {"hook_secret": self._secret} if self._secret else {}
        return response

    def perform_create(self, serializer: Any) -> None:
        self._secret = take_up(self.saved(serializer, created_by=self.request.user))

    def perform_update(self, serializer: Any) -> None:
        self._secret = take_up(self.saved(serializer))

    def perform_destroy(self, instance: Workflow) -> None:
        """Archived: its history stays, its runs are held."""
        instance.archived_at, instance.status = timezone.now(), Workflow.Status.PAUSED
        instance.save(update_fields=["archived_at", "status", "updated_at"])

    @extend_schema(request=ExecuteSerializer, responses={202: StartedSerializer})
    @action(methods=["post"], detail=True)
    def execute(self, request: Request, pk: str) -> Response:
        """Start a run by hand: `{"lead_id": 123}`, or one for each of several records: `{"lead_ids": [1, 2]}`
        or `{"filter": {"city": "Oslo"}}`. Anything else in the body is the runs' payload."""
        workflow = self.get_object()
        definition.require_scopes(definition.definition_of(workflow), request.user)
        given = validated_body(request, ExecuteSerializer, model=workflow.entity)
        data, user_id = given["data"], request.user.pk
        if "ids" in given:
            entity = entities[given["entity"]]
            made = engine.queue_workflow_for(workflow, entity, given["ids"], data, requested_by=user_id)
            jobs.enqueue(RUN_JOB)
            return Response({"success": True, "started": len(made), "execution_ids": made}, status=202)
        run = engine.queue_workflow(workflow, data, requested_by=user_id)
        jobs.enqueue(RUN_JOB)
        return Response({"success": True, "execution_id": run.pk, "status": run.status}, status=202)

    @extend_schema(
        operation_id="workflows_executions_list",
        responses=ExecutionSerializer(many=True),
        parameters=nested_list_parameters(ExecutionViewSet),
        filters=False,
    )
    @action(methods=["get"], detail=True)
    def executions(self, request: Request, pk: str) -> Response:
        """List the workflow's runs, newest first."""
        return ExecutionViewSet.nested_list(request, workflow=self.get_object())

    @extend_schema(
        operation_id="workflows_versions_list",
        responses=VersionSerializer(many=True),
        filters=False,
    )
    @action(methods=["get"], detail=True)
    def versions(self, request: Request, pk: str) -> Response:
        """List the versions of the workflow, newest first."""
        page = self.paginate_queryset(self.get_object().versions.all())
        return self.get_paginated_response(VersionSerializer(page, many=True).data)

    @extend_schema(request=None, responses=HookSecretSerializer)
    @action(methods=["post"], detail=True)
    @takes_no_body
    def rotate_secret(self, request: Request, pk: str) -> Response:
        """Create a new secret for the inbound webhook, shown only once."""
        workflow = self.get_object()
        if workflow.trigger_type != inbound.TRIGGER:
            raise ConflictError(_("Only a workflow with an inbound webhook has a secret."))
        secret = inbound.new_secret(workflow)
        return Response({"url": inbound.hook_url(workflow), "secret": secret})

    @extend_schema(request=None, responses={200: WorkflowSerializer})
    @action(methods=["post"], detail=True)
    @takes_no_body
    def pause(self, request: Request, pk: str) -> Response:
        """Pause the workflow: no new runs start, and those under way are held before their next step."""
        workflow = self.get_object()
        operations.pause(workflow)
        return Response(self.get_serializer(workflow).data)

    @extend_schema(request=None, responses={200: WorkflowSerializer})
    @action(methods=["post"], detail=True)
    @takes_no_body
    def resume(self, request: Request, pk: str) -> Response:
        """Activate the workflow; held runs continue."""
        workflow = self.get_object()
        definition.require_scopes(definition.definition_of(workflow), request.user)
        operations.resume(workflow)
        return Response(self.get_serializer(workflow).data)

    def _asked(self, pk: str) -> Workflow:
        """The workflow, without a lock: nothing will be written."""
        rows = (
            self.get_queryset().select_related("run_as").filter(pk=pk if pk.isdigit() and len(pk) < 19 else 0)
        )
        found = rows.first()
        if found is None:
            raise NotVisibleError(_("Not found."))
        return found

    def _definition(self, workflow: Workflow) -> dict[str, Any]:
        if workflow.entity:
            scopes.require(self.request.user, entities[workflow.entity].plural)
        given = definition.definition_of(workflow)
        opened = given | {"actions": definition.unsealed(given["actions"])}
        definition.check(opened, workflow.run_as, workflow.run_as)
        return opened

    @extend_schema(request=RecordDataSerializer, responses=DryRunSerializer)
    @action(methods=["post"], detail=True)
    def test(self, request: Request, pk: str) -> Response:
        """Dry run on one record: which conditions hold, and what each action would do. Changes nothing."""
        workflow = self._asked(pk)
        given = validated_body(request, RecordDataSerializer, model=workflow.entity)
        subject = given.get("object_id"), workflow.run_as, given["data"], given["entity"]
        reader = RunReader(request.user)
        return Response(preview.dry_run(workflow, self._definition(workflow), *subject, reader=reader))

    @extend_schema(request=BacktestSerializer, responses=BacktestResultSerializer)
    @action(methods=["post"], detail=True)
    def backtest(self, request: Request, pk: str) -> Response:
        """Backtest: how often the workflow would have run in the last days, on which records, and doing
        what."""
        workflow = self._asked(pk)
        days = validated_body(request, BacktestSerializer).get("days", 7)
        given, reader = self._definition(workflow), RunReader(request.user)
        return Response(backtest.backtest(workflow, given, workflow.run_as, days, reader=reader))

    @extend_schema(responses=VocabularySerializer, filters=False)
    @action(methods=["get"], detail=False)
    def vocabulary(self, request: Request) -> Response:
        """List the triggers and actions with their parameters. `references` lists the fields that conditions
        can compare one reference away."""
        described = [_described(t, t.settings) for t in triggers]
        return Response(
            {"triggers": described, "actions": _actions(), "references": _references(request.user)}
        )


def _references(user: Any) -> list[dict[str, Any]]:
    """What conditions can ask one reference away, without what is hidden from the user."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for entity in (entity.for_user(user) for entity in entities):
        for column in related.references(entity.by_name):
            new = {"name": column.name, "models": [], "conditions": related.known_related(column)}
            found.setdefault((column.name, related.target_of(column)), new)["models"].append(entity.name)
    return list(found.values())


def _actions() -> list[dict[str, Any]]:
    return [_described(a, a.params) for a in actions]


def _described(item: Any, params: Any) -> dict[str, Any]:
    shown = [
        {
            "name": p.name,
            "type": p.type_name,
            "choices": p.choices,
            "refers_to": p.refers_to,
            "required": p.required,
            "template": p.template,
            "help": p.help_text,
        }
        for p in params
    ]
    return {"name": item.name, "models": list(item.entities), "help": item.help_text, "params": shown}
