"""The inbox over HTTP."""

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission
from core.accounts import tickets
from core.api import preconditions
from core.api.bodies import body_of, takes_no_body, validated_body
from core.api.resources import ReadOnlyResourceViewSet
from core.api.schema.lists import IF_MATCH
from core.changes.history import actors_of
from core.errors import ForbiddenError
from core.notifications import inbox, preferences, sending
from core.notifications.api.filters import NotificationFilterSet, SuppressedAddressFilterSet
from core.notifications.api.serializers import (
    LiveTicketSerializer,
    MarkedReadSerializer,
    NotificationSerializer,
    PreferencesSerializer,
    ReadAllSerializer,
    SuppressedAddressesSerializer,
    UnreadCountsSerializer,
)
from core.notifications.models import Notification
from core.notifications.preferences import Preferences

CHANNEL = [OpenApiParameter("channel", str, description="Addresses of this channel only.")]


class NotificationViewSet(ReadOnlyResourceViewSet):
    """Your notifications: newest first, without what you archived or may no longer see."""

    model = Notification
    queryset = Notification.objects.none()
    serializer_class = NotificationSerializer
    filterset_class = NotificationFilterSet
    ordering_fields = ("created_at", "id")
    allowed_query_params = {"list": None, "disabled_addresses": {"channel"}}
    secret_answers = {"ticket": ("ticket", "url")}
    # One's own inbox and settings need no role beyond seeing.
    action_permissions = dict.fromkeys(
        ("read", "unread", "read_all", "archive", "unarchive", "preferences", "disabled_addresses"),
        Permission.VIEW,
    )

    def get_queryset(self) -> QuerySet:
        return inbox.visible(self.request.user)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(self._shown([self.get_object()])[0])

    def _shown(self, rows: Any) -> Any:
        found = list(rows)
        context = {**self.get_serializer_context(), "actors": actors_of(found)}
        return NotificationSerializer(found, many=True, context=context).data

    @extend_schema(responses=UnreadCountsSerializer, filters=False)
    @action(methods=["get"], detail=False)
    def counts(self, request: Request) -> Response:
        """Count the unread notifications, in all and by type."""
        return Response(inbox.counts(request.user))

    @extend_schema(methods=["GET"], responses=PreferencesSerializer, filters=False)
    @extend_schema(
        methods=["PATCH"],
        description="Change the preferences that the body names.",
        request=PreferencesSerializer(partial=True),
        responses=PreferencesSerializer,
        parameters=[IF_MATCH],
    )
    @action(methods=["get", "patch"], detail=False)
    def preferences(self, request: Request) -> Response:
        """Read your preferences: channels by type, digests, quiet hours and time zone."""
        if request.method == "GET":
            return _preferences_response(preferences.of(request.user))
        present = preferences.locked(request.user)
        preconditions.check_tag(request, lambda: _preferences_response(present)["ETag"])
        serializer = PreferencesSerializer(present, data=body_of(request), partial=True)
        serializer.is_valid(raise_exception=True)
        return _preferences_response(serializer.save())

    @extend_schema(
        methods=["GET"], responses=SuppressedAddressesSerializer, parameters=CHANNEL, filters=False
    )
    @extend_schema(
        methods=["DELETE"],
        operation_id="notifications_enable_addresses",
        description="Have your disabled addresses tried again.",
        responses={204: None},
        parameters=CHANNEL,
    )
    @action(methods=["get", "delete"], detail=False)
    def disabled_addresses(self, request: Request) -> Response:
        """List your addresses that are disabled because messages to them were refused for good."""
        found = SuppressedAddressFilterSet(
            request.query_params, sending.suppressed_addresses_of(request.user)
        )
        rows = found.checked
        if request.method == "DELETE":
            rows.delete()
            return Response(status=204)
        return Response(SuppressedAddressesSerializer({"results": rows}).data)

    @extend_schema(request=None, responses={201: LiveTicketSerializer})
    @action(methods=["post"], detail=False)
    @takes_no_body
    def ticket(self, request: Request) -> Response:
        """Create a ticket that opens the WebSocket once, within the next 30 seconds."""
        principal = tickets.principal_of(request.auth)
        if principal is None:
            raise ForbiddenError(_("Only a session or an API key gets a ticket."))
        url = f"/ws/notifications/?ticket={(text := tickets.issue(principal))}"
        return Response({"ticket": text, "expires_in": tickets.LIFE_S, "url": url}, 201)

    @extend_schema(request=None)
    @action(methods=["post"], detail=True)
    @takes_no_body
    def read(self, request: Request, pk: str) -> Response:
        """Mark the notification as read."""
        return self._marked(read_at=timezone.now())

    @extend_schema(request=None)
    @action(methods=["post"], detail=True)
    @takes_no_body
    def unread(self, request: Request, pk: str) -> Response:
        """Mark the notification as unread."""
        return self._marked(read_at=None)

    @extend_schema(request=None)
    @action(methods=["post"], detail=True)
    @takes_no_body
    def archive(self, request: Request, pk: str) -> Response:
        """Archive the notification; `archived=true` still lists it."""
        return self._marked(archived_at=timezone.now())

    @extend_schema(request=None)
    @action(methods=["post"], detail=True)
    @takes_no_body
    def unarchive(self, request: Request, pk: str) -> Response:
        """Take the notification back into the list."""
        return self._marked(archived_at=None)

    @extend_schema(request=ReadAllSerializer, responses=MarkedReadSerializer)
    @action(methods=["post"], detail=False)
    def read_all(self, request: Request) -> Response:
        """Mark notifications as read: all, those of some `types`, or those that came `until` a moment."""
        body = validated_body(request, ReadAllSerializer)
        return Response({"read": inbox.read_all(request.user, body.get("types"), body.get("until"))})

    def _marked(self, **mark: Any) -> Response:
        """Set a mark that is not set yet; one's own inbox needs no role."""
        found = self.get_object()
        ((name, value),) = mark.items()
        if (getattr(found, name) is None) != (value is None):
            inbox.mark(found, name, value)
        return Response(self._shown([found])[0])


def _preferences_response(found: Preferences) -> Response:
    shown = PreferencesSerializer(found).data
    return Response(shown, headers={"ETag": preconditions.tag_of([found.user.pk, shown])})
