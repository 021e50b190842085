"""Workflows over HTTP."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core import jobs
from core.access import Permission, scopes
from core.api.bodies import body_of, takes_no_body, validated_body
from core.api.bulk import ids_in, matching_ids
from core.api.pagination import numbered
from core.api.parameters import PAGES
from core.api.resources import ResourceViewSet
from core.api.schema.parts import ANYTHING, ID, JSON, TEXT, array_of, object_of, page_of, ref
from core.entities import Entity, entities
from core.entities.field_types import Integer
from core.errors import ConflictError, FieldIssue, InvalidError, NotVisibleError, refused_as
from core.workflows import backtest, definition, engine, inbound, operations, preview
from core.workflows.actions import actions
from core.workflows.api.executions import RUN_PARAMETERS, runs_asked_for, shown_runs
from core.workflows.api.serializers import VersionSerializer, WorkflowSerializer
from core.workflows.matching import RUN_JOB
from core.workflows.models import Workflow
from core.workflows.triggers import triggers

DAYS = object_of({"days": {"type": "integer", "minimum": 1, "maximum": 90}})
STARTED = object_of(
    {
        "success": {"type": "boolean"},
        "execution_id": ID,
        "status": TEXT,
        "started": {"type": "integer"},
        "execution_ids": array_of(ID),
    },
    ("success",),
)


class WorkflowViewSet(ResourceViewSet):
    """Automation: what is to happen when. Written by administrators and managers."""

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
        # A dry run keeps nothing, not even an answer: it opens its own transaction, which is read-only.
        if self.action in ("test", "backtest"):
            self.writes_in_transaction = False
        super().initial(request, *args, **kwargs)

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The secret of an inbound webhook is shown this once."""
        response = super().create(request, *args, **kwargs)
        response.data |= {"hook_secret": self._secret} if self._secret else {}
        return response

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
            operations.release_held_runs(workflow)

    def perform_destroy(self, instance: Workflow) -> None:
        """Archived: its history stays, its runs are held."""
        instance.archived_at, instance.status = timezone.now(), Workflow.Status.PAUSED
        instance.save(update_fields=["archived_at", "status", "updated_at"])

    @extend_schema(request={JSON: ANYTHING}, responses={202: STARTED})
    @action(methods=["post"], detail=True)
    def execute(self, request: Request, pk: str) -> Response:
        """Start a run by hand: `{"lead_id": 123}`, or one for each of several records: `{"lead_ids": [1, 2]}`
        or `{"filter": {"city": "Oslo"}}`. Anything else in the body is the runs' payload."""
        workflow = self.get_object()
        definition.require_scopes(definition.definition_of(workflow), request.user)
        data = dict(body_of(request))
        several = records_named(request.user, workflow, data)
        if several is not None:
            entity, ids = several
            made = engine.queue_workflow_for(workflow, entity, ids, data, requested_by=request.user.pk)
            jobs.enqueue(RUN_JOB)
            return Response({"success": True, "started": len(made), "execution_ids": made}, status=202)
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
        opened = given | {"actions": definition.unsealed(given["actions"])}
        definition.check(opened, workflow.run_as)
        return opened

    @extend_schema(request={JSON: ANYTHING}, responses={200: ANYTHING})
    @action(methods=["post"], detail=True)
    def test(self, request: Request, pk: str) -> Response:
        """Dry run on one record: which conditions hold, what each action would do. Changes nothing."""
        workflow = self._asked(pk)
        data = dict(body_of(request))
        entity, object_id = record_seen(request.user, workflow, data)
        given = self._definition(workflow)
        return Response(preview.dry_run(workflow, given, object_id, workflow.run_as, data, entity))

    @extend_schema(
        request={JSON: DAYS},
        responses={200: ANYTHING},
    )
    @action(methods=["post"], detail=True)
    def backtest(self, request: Request, pk: str) -> Response:
        """How often it would have run over the last days of real changes, on which records, doing what."""
        workflow = self._asked(pk)
        days = validated_body(request, {"days": Integer(min_value=1, max_value=backtest.MAX_DAYS)}).get(
            "days", 7
        )
        return Response(backtest.backtest(workflow, self._definition(workflow), workflow.run_as, days))

    @extend_schema(responses={200: ANYTHING})
    @action(methods=["get"], detail=False)
    def vocabulary(self, request: Request) -> Response:
        """The triggers and actions there are, with their parameters."""
        return Response({"triggers": [_described(t, t.settings) for t in triggers], "actions": _actions()})


def record_seen(user: Any, workflow: Workflow, data: dict[str, Any]) -> tuple[str, int | None]:
    """The record named in the body, if whoever asks may see it. Raises NotVisibleError."""
    name, object_id = engine.record_named(data, workflow.entity)
    if object_id is not None:
        scopes.require(user, entities[name].plural)
        if not entities[name].visible_to(user).filter(pk=object_id).exists():
            raise NotVisibleError(f"There is no such {name}.")
    return name, object_id


def records_named(user: Any, workflow: Workflow, data: dict[str, Any]) -> tuple[Entity, list[int]] | None:
    """Several records that the body names, taken out of it: `<model>_ids` or a `filter` of the workflow's
    model; None where it names none so. Raises InvalidError, for records that the user does not see too."""
    named = [e for e in entities if f"{e.name}_ids" in data]
    given = [*(f"{e.name}_ids" for e in named), *(name for name in ("filter",) if name in data)]
    one = [f"{e.name}_id" for e in entities if f"{e.name}_id" in data] + [
        n for n in ("record_id",) if n in data
    ]
    if not given:
        return None
    if len(given) + len(one) > 1:
        raise InvalidError.of([*given, *one][1], "Name the records once.", "given_twice")
    entity = named[0] if named else entities.get(workflow.entity)
    if entity is None:
        raise InvalidError.of("filter", "This workflow is about no model: name records by their ids.")
    if workflow.entity and entity.name != workflow.entity:
        raise InvalidError.of(given[0], f"This workflow is about a {workflow.entity}.", "wrong_model")
    scopes.require(user, entity.plural)
    raw = data.pop(given[0])
    if not named:
        return entity, matching_ids(entity, user, raw, Permission.VIEW)
    with refused_as(given[0]):
        ids = list(dict.fromkeys(ids_in(raw)))
    seen = set(entity.visible_to(user).filter(pk__in=ids).values_list("pk", flat=True))
    issues = [
        FieldIssue(f"{given[0]}[{i}]", "does_not_exist", f"There is no such {entity.name}.")
        for i, pk in enumerate(ids)
        if pk not in seen
    ]
    if issues:
        raise InvalidError(issues[:50])
    return entity, ids


def _actions() -> list[dict[str, Any]]:
    return [_described(a, a.params) for a in actions]


def _described(item: Any, params: Any) -> dict[str, Any]:
    shown = [
        {"name": p.name, "required": p.required, "template": p.template, "help": p.help_text} for p in params
    ]
    return {"name": item.name, "models": list(item.entities), "help": item.help_text, "params": shown}
