"""The viewset of an entity with what hangs on its records: timeline and followers."""

from typing import Any

from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission
from core.activities.api import timelines
from core.activities.models import Follow
from core.api.bodies import takes_no_body
from core.api.viewsets import EntityViewSet
from core.changes.timeline import RecordRef


class RecordViewSet(EntityViewSet):
    """The base of the entities' viewsets."""

    action_permissions = {**EntityViewSet.action_permissions, "follow": Permission.VIEW}
    allowed_query_params = {**EntityViewSet.allowed_query_params, "timeline": timelines.PARAMETERS}

    @action(methods=["get"], detail=True)
    def timeline(self, request: Request, pk: str) -> Response:
        """Everything that happened to the record, newest first: changes, activities, comments, tasks, …"""
        subject = RecordRef(self.entity, self.seen(request, pk), request.user)
        return Response(timelines.page(request, subject).body())

    @action(methods=["post", "delete"], detail=True)
    @takes_no_body
    def follow(self, request: Request, pk: str) -> Response:
        """POST follows the record, DELETE leaves it."""
        key: dict[str, Any] = {
            "user": request.user,
            "entity": self.entity.name,
            "object_id": self.seen(request, pk),
        }
        if request.method == "DELETE":
            Follow.objects.filter(**key).delete()
        else:
            Follow.objects.get_or_create(**key)
        return Response({"following": request.method == "POST"})
