"""Merges over HTTP: those that were made, and undoing them."""

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission
from core.api.bodies import takes_no_body
from core.api.resources import ReadOnlyResourceViewSet
from core.duplicates.api.serializers import MergeSerializer
from core.duplicates.models import Merge
from core.duplicates.unmerging import undo
from core.entities import entities


class MergeViewSet(ReadOnlyResourceViewSet):
    """Merges of records; you see those whose survivor you see."""

    model = Merge
    queryset = Merge.objects.prefetch_related("moves").order_by("-id")
    serializer_class = MergeSerializer
    filterset_fields = ("entity", "object_id", "merged_by")
    ordering_fields = ("merged_at", "id")
    # Whether they may be changed is asked of the records.
    action_permissions = {"undo": Permission.VIEW}

    @extend_schema(request=None, responses=MergeSerializer)
    @action(methods=["post"], detail=True)
    @takes_no_body
    def undo(self, request: Request, pk: str) -> Response:
        """Undo the merge: each record returns as it was, with what was changed since."""
        merge = self.get_object()
        return Response(self.get_serializer(undo(entities[merge.entity], merge.pk, request.user)).data)
