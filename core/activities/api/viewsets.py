"""The viewset of an entity with what hangs on its records: timeline, followers, who sees it, what refers to
it."""

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission, Role, role_of
from core.accounts.models import User
from core.accounts.record_access import access_of, who_sees
from core.activities.api import timelines
from core.activities.api.serializers import (
    DependentsSerializer,
    FollowerPageSerializer,
    RecordAccessSerializer,
)
from core.activities.models import Follow
from core.api.bodies import takes_no_body
from core.api.pagination import numbered
from core.api.parameters import PAGES, int_param
from core.changes import archived
from core.changes.timeline import RecordRef
from core.entities.dependents import dependents
from core.entities.reading import user_brief
from core.errors import ForbiddenError, InvalidError
from core.sharing.api.viewsets import PAGE_NUMBER, ShareableViewSet

# Who may ask what somebody else sees.
ASKING = (Role.ADMIN, Role.MANAGER)
OF_USER = OpenApiParameter(
    "user", int, description="Explain the access of this user; for administrators and managers."
)


class RecordViewSet(ShareableViewSet):
    """The base of the entities' viewsets."""

    action_permissions = {**ShareableViewSet.action_permissions, "follow": Permission.VIEW}
    allowed_query_params = {
        **ShareableViewSet.allowed_query_params,
        "timeline": timelines.PARAMETERS,
        "followers": PAGES,
        "access": {"user"},
    }

    @action(methods=["get"], detail=True)
    def timeline(self, request: Request, pk: str) -> Response:
        """Everything that happened to the record, newest first: changes, activities, comments, tasks, …"""
        subject = RecordRef(self.entity, self.seen(request, pk), request.user)
        page = timelines.page(request, subject)
        return Response(page.body() | ({} if page.next else archived.of_record(self.entity, subject.pk)))

    @extend_schema(methods=["POST"], description="Follow the record.")
    @extend_schema(methods=["DELETE"], description="Stop following the record.")
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

    @extend_schema(responses=FollowerPageSerializer, parameters=PAGE_NUMBER)
    @action(methods=["get"], detail=True)
    def followers(self, request: Request, pk: str) -> Response:
        """List who follows the record, since when and why, the earliest first."""
        rows = Follow.objects.filter(
            entity=self.entity.name, object_id=self.seen(request, pk), user__is_active=True
        )
        return Response(numbered(request, rows.select_related("user").order_by("id"), _followers).body())

    @extend_schema(responses=RecordAccessSerializer, parameters=[OF_USER])
    @action(methods=["get"], detail=True)
    def access(self, request: Request, pk: str) -> Response:
        """Explain who sees the record and why: the first 500 users by name. `asked` explains it for you, or
        for `user`."""
        record = self.seen(request, pk)
        asked = access_of(self.entity, record, self._asked_for(request))
        seeing, count = who_sees(self.entity, record)
        shown = {"asked": asked.shown(), "count": count, "users": [one.shown() for one in seeing]}
        return Response(shown)

    def _asked_for(self, request: Request) -> int:
        """The id of whose access is asked for. Raises ForbiddenError, InvalidError."""
        user: Any = request.user
        asked = int_param(request, "user") or user.pk
        if asked != user.pk and role_of(request.user) not in ASKING:
            raise ForbiddenError(_("Administrators and managers ask what somebody else sees."))
        if not User.objects.filter(pk=asked).exists():
            raise InvalidError.of("user", _("There is no such user."), "does_not_exist")
        return asked

    @extend_schema(responses=DependentsSerializer)
    @action(methods=["get"], detail=True)
    def dependents(self, request: Request, pk: str) -> Response:
        """Count the records that refer to this one, by entity and field. Archived records are not counted;
        `hidden` of them you do not see."""
        found = dependents(self.entity, [self.seen(request, pk)], request.user)
        return Response(DependentsSerializer({"results": found}).data)


def _followers(rows: Iterable[Follow]) -> list[dict[str, Any]]:
    return [{"user": _brief(row.user), "reason": row.reason, "since": row.created_at} for row in rows]


def _brief(user: Any) -> dict[str, Any]:
    names = ("id", "username", "first_name", "last_name")
    return user_brief({name: getattr(user, name) for name in names})
