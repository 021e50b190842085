"""Runs of workflows over HTTP."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import scopes
from core.api.bodies import takes_no_body, validated_body
from core.api.parameters import datetime_param
from core.api.querying import filtered, ordered
from core.api.resources import ReadOnlyResourceViewSet
from core.api.schema import parts
from core.api.schema.lists import list_parameters
from core.api.schema.parts import ID, JSON, TEXT, object_of
from core.entities import entities
from core.entities.field_types import BIGINT_MAX, Choice, DateTime, Integer
from core.errors import InvalidError
from core.workflows import definition, operations
from core.workflows.api.serializers import ExecutionSerializer
from core.workflows.models import WorkflowExecution, WorkflowVersion

BULK_RETRY = object_of(
    {"workflow": ID, "status": TEXT, "created_after": parts.MOMENT, "created_before": parts.MOMENT}
)
MOMENT = DateTime()
BIG = Integer(min_value=1, max_value=BIGINT_MAX)
RUN_FILTERS = ("status", "entity", "object_id", "error_code")
RUN_ORDERINGS = ("id",)
SINCE = ("created_after", "created_before")
RUN_PARAMETERS = list_parameters(WorkflowExecution, RUN_FILTERS, SINCE, RUN_ORDERINGS)


class ExecutionViewSet(ReadOnlyResourceViewSet):
    """Runs of workflows, with every step."""

    model = WorkflowExecution
    queryset = WorkflowExecution.objects.select_related("version", "workflow").prefetch_related("steps")
    serializer_class = ExecutionSerializer
    filterset_fields = (*RUN_FILTERS, "workflow")
    ordering_fields = RUN_ORDERINGS
    parameters = SINCE

    def get_queryset(self) -> QuerySet:
        return covered(super().get_queryset(), self.request.user)

    def filter_queryset(self, rows: QuerySet) -> QuerySet:
        return narrowed(self.request, super().filter_queryset(rows))

    @extend_schema(request=None, responses={200: ExecutionSerializer})
    @action(methods=["post"], detail=True)
    @takes_no_body
    def retry(self, request: Request, pk: str) -> Response:
        """Go on from the step that failed."""
        run = self._runnable()
        operations.retry(run)
        return self._shown_again(run)

    @extend_schema(request=None, responses={201: ExecutionSerializer})
    @action(methods=["post"], detail=True)
    @takes_no_body
    def rerun(self, request: Request, pk: str) -> Response:
        """A new run for the same event, with the workflow's present version."""
        run = self._runnable()
        definition.require_scopes(definition.definition_of(run.workflow), request.user)
        made = operations.rerun(run, request.user)
        return Response(self.get_serializer(made).data, status=201)

    def _runnable(self) -> WorkflowExecution:
        """The run in the address. Raises ScopeMissingError for an API key that may not do what it does."""
        run = self.get_object()
        definition.require_scopes(run.version.definition, self.request.user)
        return run

    def _shown_again(self, run: WorkflowExecution) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=run.pk)).data)

    @extend_schema(request=None, responses={200: ExecutionSerializer})
    @action(methods=["post"], detail=True)
    @takes_no_body
    def cancel(self, request: Request, pk: str) -> Response:
        """No further step starts."""
        run = self.get_object()
        operations.cancel(run)
        return self._shown_again(run)

    @extend_schema(
        request={JSON: BULK_RETRY},
        responses={200: object_of({"retried": {"type": "integer"}})},
    )
    @action(methods=["post"], detail=False)
    def bulk_retry(self, request: Request) -> Response:
        """Retry the failed runs that the body names: by workflow, status and time."""
        statuses = Choice(choices=tuple(WorkflowExecution.RETRYABLE))
        known = {"workflow": BIG, "status": statuses, "created_after": MOMENT, "created_before": MOMENT}
        given = validated_body(request, known)
        if not given:
            raise InvalidError.of("", "Name the runs to retry; nothing would name all.", "required")
        names = {"created_after": "created_at__gte", "created_before": "created_at__lt"}
        rows = self.get_queryset().filter(**{names.get(name, name): value for name, value in given.items()})
        if scopes.is_limited(request.user):
            for version in WorkflowVersion.objects.filter(pk__in=rows.order_by().values("version")):
                definition.require_scopes(version.definition, request.user)
        return Response({"retried": operations.retry_many(rows)})


def executions_of(user: Any) -> QuerySet[WorkflowExecution]:
    """The runs a user may see."""
    rows = covered(WorkflowExecution.objects.visible_to(user), user)
    return rows.select_related("version").prefetch_related("steps").order_by("-id")


def covered(rows: QuerySet[WorkflowExecution], user: Any) -> QuerySet[WorkflowExecution]:
    """The runs about records that an API key may read; what a run was given and did tells of its record."""
    if not scopes.is_limited(user):
        return rows
    return rows.filter(entity__in=["", *(e.name for e in entities if scopes.covers(user, e.plural))])


def shown_runs(rows: Any) -> Any:
    return ExecutionSerializer(rows, many=True).data


def runs_asked_for(request: Request, workflow: Any) -> QuerySet[WorkflowExecution]:
    """The runs of a workflow that the request names, in its order."""
    rows = narrowed(request, executions_of(request.user).filter(workflow=workflow))
    return ordered(request, filtered(request, rows, RUN_FILTERS, (*SINCE, "ordering")), RUN_ORDERINGS)


def narrowed(request: Request, rows: QuerySet) -> QuerySet:
    """By time; the rest is named by `filters`."""
    after, before = datetime_param(request, "created_after"), datetime_param(request, "created_before")
    if after:
        rows = rows.filter(created_at__gte=after)
    return rows.filter(created_at__lt=before) if before else rows
