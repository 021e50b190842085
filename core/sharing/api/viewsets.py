"""With whom a thing is shared, below its address: `/{resource}/{id}/shares/`."""

from collections.abc import Iterable
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission
from core.api.bulk import BulkResultSerializer
from core.api.pagination import numbered
from core.api.parameters import PAGES, record_id
from core.api.viewsets import EntityViewSet
from core.errors import NotVisibleError
from core.sharing import operations
from core.sharing.api.serializers import (
    BulkGranteeSerializer,
    BulkGrantSerializer,
    GrantSerializer,
    SharePageSerializer,
    ShareSerializer,
    shown,
)
from core.sharing.models import Share

SHARE_ID = OpenApiParameter("share_id", int, OpenApiParameter.PATH, description="The id of the share.")
PAGE_NUMBER = [
    OpenApiParameter("page", int, description="The number of the page, from 1."),
    OpenApiParameter("page_size", int, description="How many to a page."),
]
SHARING = dict.fromkeys(("add_share", "remove_share", "share", "unshare"), Permission.SHARE)


class ShareableViewSet(EntityViewSet):
    """The viewset of an entity whose records are shared with users and teams."""

    action_permissions = {**EntityViewSet.action_permissions, **SHARING}
    sources: ClassVar = {**EntityViewSet.sources, "share": "bulk", "unshare": "bulk"}
    allowed_query_params = {**EntityViewSet.allowed_query_params, "shares": PAGES}

    @extend_schema(responses=SharePageSerializer, parameters=PAGE_NUMBER)
    @action(methods=["get"], detail=True)
    def shares(self, request: Request, pk: str) -> Response:
        """With whom the record is shared, to read or to change it, and until when; the first one first."""
        rows = Share.objects.of(self.entity.name, self.seen(request, pk))
        return Response(numbered(request, rows.select_related("user", "team", "created_by"), _shown).body())

    @extend_schema(request=GrantSerializer, responses={200: ShareSerializer, 201: ShareSerializer})
    @shares.mapping.post
    def add_share(self, request: Request, pk: str) -> Response:
        """Share the record with a user or a team. Who has it already gets the new access: 200."""
        record = operations.locked(self.entity, record_id(pk), request.user)
        given = GrantSerializer(data=request.data, context=self.get_serializer_context())
        given.is_valid(raise_exception=True)
        share, is_new = operations.share_record(self.entity, record, given.grant, request.user)
        return Response(shown(share), 201 if is_new else 200)

    @extend_schema(responses={204: None}, parameters=[SHARE_ID])
    @action(methods=["delete"], detail=True, url_path="shares/(?P<share_id>[^/.]+)")
    def remove_share(self, request: Request, pk: str, share_id: str) -> Response:
        """Share the record no longer."""
        record = operations.locked(self.entity, record_id(pk), request.user)
        found = Share.objects.filter(
            pk=record_id(share_id), entity=self.entity.name, object_id=record.pk
        ).first()
        if found is None:
            raise NotVisibleError("Not found.")
        found.delete()
        return Response(status=204)

    @extend_schema(
        request=BulkGrantSerializer, responses={200: BulkResultSerializer, 207: BulkResultSerializer}
    )
    @action(methods=["post"], detail=False)
    def share(self, request: Request) -> Response:
        """Share many records with a user or a team; answered one by one."""
        return self._bulk(BulkGrantSerializer)

    @extend_schema(
        request=BulkGranteeSerializer, responses={200: BulkResultSerializer, 207: BulkResultSerializer}
    )
    @action(methods=["post"], detail=False)
    def unshare(self, request: Request) -> Response:
        """Share many records with a user or a team no longer; answered one by one."""
        return self._bulk(BulkGranteeSerializer)


def _shown(rows: Iterable[Share]) -> list[dict[str, Any]]:
    return [shown(share) for share in rows]
