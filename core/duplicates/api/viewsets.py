"""The viewset of an entity whose records can be merged."""

from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission
from core.activities.api.viewsets import RecordViewSet
from core.api import preconditions
from core.duplicates.api.serializers import MergeRequestSerializer, MergeSerializer
from core.duplicates.merging import MergeRequest, merge


class MergeableViewSet(RecordViewSet):
    """The base of the viewsets of entities that declare how their records are merged."""

    action_permissions = {**RecordViewSet.action_permissions, "merge": Permission.CHANGE}

    @extend_schema(request=MergeRequestSerializer, responses=MergeSerializer)
    @action(methods=["post"], detail=False)
    def merge(self, request: Request) -> Response:
        """Make several records one: all that hangs on them moves to the survivor, their ids lead to it."""
        given = MergeRequestSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        asked = MergeRequest(
            given.validated_data["survivor"],
            given.validated_data["merged"],
            given.validated_data.get("fields", {}),
        )

        def check(records: Sequence[Any]) -> None:
            preconditions.check(request, records[0])

        made = merge(self.entity, asked, request.user, check)
        return Response(MergeSerializer(made).data)
