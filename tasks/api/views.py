"""Tasks over HTTP."""

from collections.abc import Callable
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission
from core.activities.api.viewsets import RecordViewSet
from core.api import listing, preconditions
from core.api.bodies import only
from core.api.parameters import record_id
from core.api.schema import ref
from core.api.schema.parts import of_kinds
from core.entities import writing
from core.entities.field_types import FieldType, Text
from tasks.operations import complete, update_following, update_occurrence
from tasks.registration import TASK

COMPLETE: dict[str, FieldType] = {"outcome": Text(max_length=500)}


class TaskViewSet(RecordViewSet):
    """Tasks: calls, meetings and whatever else has to be done."""

    entity = TASK
    access = {
        **RecordViewSet.access,
        "complete": Permission.CHANGE,
        "update_occurrence": Permission.CHANGE,
        "update_following": Permission.CHANGE,
    }

    @extend_schema(request={"application/json": of_kinds(COMPLETE)}, responses={200: ref("Task")})
    @action(methods=["post"], detail=True)
    def complete(self, request: Request, pk: str) -> Response:
        """Mark done; of a recurring task the next one is made and named in `next_task`."""
        body = only(request, COMPLETE)
        task = writing.locked(self.entity, record_id(pk), request.user)
        preconditions.check(request, task)
        following = complete(self.entity, task, request.user, body.get("outcome", ""))
        return self.shown(request, task.pk, next_task=following.pk if following else None)

    @extend_schema(request={"application/json": ref("TaskPatch")}, responses={200: ref("Task")})
    @action(methods=["post"], detail=True)
    def update_occurrence(self, request: Request, pk: str) -> Response:
        """Change this one of a series only: those that follow are as the series is."""
        return self._changed(request, pk, update_occurrence)

    @extend_schema(request={"application/json": ref("TaskPatch")}, responses={200: ref("Task")})
    @action(methods=["post"], detail=True)
    def update_following(self, request: Request, pk: str) -> Response:
        """Change this one of a series and all that follow it, its date and rule too."""
        return self._changed(request, pk, update_following)

    def _changed(self, request: Request, pk: str, change: Callable[..., None]) -> Response:
        task = writing.locked(self.entity, record_id(pk), request.user)
        preconditions.check(request, task)
        change(self.entity, task, request.data, request.user)
        return self.shown(request, task.pk)

    @action(methods=["get"], detail=False)
    def statistics(self, request: Request) -> Response:  # type: ignore[override]  # the action's own type
        """Totals of the tasks the list's filters name."""
        rows: Any = listing.figures(self.entity, request)
        return Response(rows.statistics(request.user))
