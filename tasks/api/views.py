"""Tasks over HTTP."""

from collections.abc import Callable
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission
from core.activities.api.viewsets import RecordViewSet
from core.api import preconditions
from core.api.bodies import body_of
from core.conf import reading_database
from core.entities import record_counts
from tasks.api.filters import TaskFilterSet
from tasks.api.serializers import (
    CompletedTaskSerializer,
    CompletionSerializer,
    TaskSerializer,
    TaskStatisticsSerializer,
)
from tasks.models import Task
from tasks.operations import complete, update_following, update_occurrence
from tasks.querysets import COUNTED_BY, figures_of

# What is given of a task, as in a PATCH.
PATCH = TaskSerializer(partial=True)


class TaskViewSet(RecordViewSet):
    """Tasks: calls, meetings and whatever else has to be done."""

    queryset = Task.objects.all()
    serializer_class = TaskSerializer
    statistics_serializer_class = TaskStatisticsSerializer
    filterset_class = TaskFilterSet
    action_permissions = {
        **RecordViewSet.action_permissions,
        "complete": Permission.CHANGE,
        "update_occurrence": Permission.CHANGE,
        "update_following": Permission.CHANGE,
    }

    @extend_schema(request=CompletionSerializer, responses=CompletedTaskSerializer)
    @action(methods=["post"], detail=True)
    def complete(self, request: Request, pk: str) -> Response:
        """Complete the task; the next task of a series is created and named in `next_task`."""
        completion = CompletionSerializer(data=request.data)
        completion.is_valid(raise_exception=True)
        task = self.get_object()
        preconditions.check(request, task)
        following = complete(self.entity, task, request.user, completion.validated_data.get("outcome") or "")
        return self.shown(request, task.pk, next_task=following.pk if following else None)

    @extend_schema(request=PATCH, responses=TaskSerializer)
    @action(methods=["post"], detail=True)
    def update_occurrence(self, request: Request, pk: str) -> Response:
        """Change only this task of a series; those that follow stay as the series says."""
        return self._changed(request, update_occurrence)

    @extend_schema(request=PATCH, responses=TaskSerializer)
    @action(methods=["post"], detail=True)
    def update_following(self, request: Request, pk: str) -> Response:
        """Change this task of a series and all that follow it, including date and rule."""
        return self._changed(request, update_following)

    def _changed(self, request: Request, change: Callable[..., None]) -> Response:
        task = self.get_object()
        preconditions.check(request, task)
        change(self.entity, task, body_of(request), request.user)
        return self.shown(request, task.pk)

    def get_statistics(self) -> dict[str, Any]:
        """Of all tasks that one sees by the counts that are kept; of those that filters name by counting."""
        rows, user = self.filtered_rows(), self.request.user
        if not self.is_whole:
            return rows.statistics(user)
        found = record_counts.counts(self.entity, user, COUNTED_BY.columns, reading_database())
        return figures_of(found, rows.due(user))
