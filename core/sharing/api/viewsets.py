"""With whom a thing is shared, below its address: `/{resource}/{id}/shares/`."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django.utils.translation import gettext as _
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
SHARING: dict[str, str] = dict.fromkeys(("add_share", "remove_share", "share", "unshare"), Permission.SHARE)


class SharesMixin:
    """With whom one thing is shared, below its address. A subclass says which: seen by whoever asks, or under
    lock and theirs to share."""

    def shared_thing(self, request: Request, pk: str) -> tuple[str, int]:
        """The name and id of what may be seen. Raises NotVisibleError."""
        raise NotImplementedError

    def thing_to_share(self, request: Request, pk: str) -> Any:
        """Raises NotVisibleError, and ForbiddenError where it may only be seen."""
        raise NotImplementedError

    @extend_schema(responses=SharePageSerializer, parameters=PAGE_NUMBER, filters=False)
    @action(methods=["get"], detail=True)
    def shares(self, request: Request, pk: str) -> Response:
        """List with whom it is shared, to read or to change it, and until when; the earliest first."""
        rows = Share.objects.of(*self.shared_thing(request, pk)).select_related("user", "team", "created_by")
        return Response(numbered(request, rows, _shown).body())

    @extend_schema(request=GrantSerializer, responses={200: ShareSerializer, 201: ShareSerializer})
    @shares.mapping.post
    def add_share(self, request: Request, pk: str) -> Response:
        """Share it with a user or a team. If they have a share already, its access is changed (200)."""
        thing = self.thing_to_share(request, pk)
        given = GrantSerializer(data=request.data, context={"request": request})
        given.is_valid(raise_exception=True)
        share, is_new = operations.share_one(thing, given.grant, request.user)
        return Response(shown(share), 201 if is_new else 200)

    @extend_schema(responses={204: None}, parameters=[SHARE_ID])
    @action(methods=["delete"], detail=True, url_path="shares/(?P<share_id>[^/.]+)")
    def remove_share(self, request: Request, pk: str, share_id: str) -> Response:
        """Remove the share."""
        thing = self.thing_to_share(request, pk)
        rows = Share.objects.filter(entity=thing.entity_name, object_id=thing.pk)
        found = rows.filter(pk=record_id(share_id)).first()
        if found is None:
            raise NotVisibleError(_("Not found."))
        found.delete()
        return Response(status=204)


class ShareableViewSet(SharesMixin, EntityViewSet):
    """The viewset of an entity whose records are shared with users and teams."""

    action_permissions = {**EntityViewSet.action_permissions, **SHARING}
    sources: ClassVar = {**EntityViewSet.sources, "share": "bulk", "unshare": "bulk"}
    allowed_query_params = {**EntityViewSet.allowed_query_params, "shares": PAGES}

    def shared_thing(self, request: Request, pk: str) -> tuple[str, int]:
        return self.entity.name, self.seen(request, pk)

    def thing_to_share(self, request: Request, pk: str) -> Any:
        return operations.locked(self.entity, record_id(pk), request.user)

    @extend_schema(
        request=BulkGrantSerializer, responses={200: BulkResultSerializer, 207: BulkResultSerializer}
    )
    @action(methods=["post"], detail=False)
    def share(self, request: Request) -> Response:
        """Share many records with a user or a team; each has its own result."""
        return self._bulk(BulkGrantSerializer)

    @extend_schema(
        request=BulkGranteeSerializer, responses={200: BulkResultSerializer, 207: BulkResultSerializer}
    )
    @action(methods=["post"], detail=False)
    def unshare(self, request: Request) -> Response:
        """Remove the shares of many records with a user or a team; each has its own result."""
        return self._bulk(BulkGranteeSerializer)


def _shown(rows: Iterable[Share]) -> list[dict[str, Any]]:
    return [shown(share) for share in rows]
