"""Runs of workflows over HTTP."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import scopes
from core.api.bodies import takes_no_body, validated_body
from core.api.resources import ReadOnlyResourceViewSet
from core.entities import entities
from core.workflows import definition, operations
from core.workflows.api.filters import ExecutionFilterSet
from core.workflows.api.serializers import BulkRetrySerializer, ExecutionSerializer, RetriedSerializer
from core.workflows.models import WorkflowExecution, WorkflowVersion
from core.workflows.readers import RunReader


class ExecutionViewSet(ReadOnlyResourceViewSet):
    """Runs of workflows, with every step."""

    model = WorkflowExecution
    queryset = WorkflowExecution.objects.select_related("version", "workflow").prefetch_related("steps")
    serializer_class = ExecutionSerializer
    filterset_class = ExecutionFilterSet
    ordering_fields = ("id",)

    def get_queryset(self) -> QuerySet:
        return readable_with_key(super().get_queryset(), self.request.user)

    def _shown(self, rows: Sequence[WorkflowExecution]) -> Any:
        reader = RunReader(self.request.user)
        reader.look_up(rows)
        context = {**self.get_serializer_context(), "reader": reader}
        return ExecutionSerializer(rows, many=True, context=context).data

    @extend_schema(request=None, responses={200: ExecutionSerializer})
    @action(methods=["post"], detail=True)
    @takes_no_body
    def retry(self, request: Request, pk: str) -> Response:
        """Continue the run from the step that failed."""
        run = self._runnable()
        operations.retry(run)
        return self._shown_again(run)

    @extend_schema(request=None, responses={201: ExecutionSerializer})
    @action(methods=["post"], detail=True)
    @takes_no_body
    def rerun(self, request: Request, pk: str) -> Response:
        """Start a new run for the same event, with the workflow's present version."""
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
        """Cancel the run: no further step starts."""
        run = self.get_object()
        operations.cancel(run)
        return self._shown_again(run)

    @extend_schema(request=BulkRetrySerializer, responses=RetriedSerializer)
    @action(methods=["post"], detail=False)
    def bulk_retry(self, request: Request) -> Response:
        """Retry the failed runs that the body names: by workflow, status and time."""
        given = validated_body(request, BulkRetrySerializer)
        names = {"created_after": "created_at__gte", "created_before": "created_at__lt"}
        rows = self.get_queryset().filter(**{names.get(name, name): value for name, value in given.items()})
        if scopes.is_limited(request.user):
            for version in WorkflowVersion.objects.filter(pk__in=rows.order_by().values("version")):
                definition.require_scopes(version.definition, request.user)
        return Response({"retried": operations.retry_many(rows)})


def readable_with_key(rows: QuerySet[WorkflowExecution], user: Any) -> QuerySet[WorkflowExecution]:
    """The runs about records that an API key may read; what a run was given and did shows its record."""
    if not scopes.is_limited(user):
        return rows
    return rows.filter(entity__in=["", *(e.name for e in entities if scopes.covers(user, e.plural))])
