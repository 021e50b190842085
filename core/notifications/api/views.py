"""The inbox over HTTP."""

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission
from core.accounts import tickets
from core.api.bodies import takes_no_body, validated_body
from core.api.parameters import flag
from core.api.querying import filtered
from core.api.resources import ReadOnlyResourceViewSet
from core.api.schema.parts import FLAG, MOMENT, TEXT, array_of, object_of, of_kinds
from core.changes.history import actors_of
from core.entities.field_types import DateTime, Text, TextList
from core.errors import ForbiddenError
from core.notifications import inbox, preferences, preferences_update, sending
from core.notifications.models import DAYS, Notification
from core.notifications.types import CHANNELS

COUNT = {"type": "integer"}
COUNTS = object_of(
    {"unread": COUNT, "capped": FLAG, "by_type": {"type": "object", "additionalProperties": COUNT}}
)
FLAGS = object_of(dict.fromkeys(CHANNELS, FLAG))
WEEKDAYS = array_of(TEXT | {"enum": list(DAYS)})
PREFERENCES = object_of(
    {
        "channels": FLAGS,
        "types": {"type": "object", "additionalProperties": FLAGS},
        "digest": object_of({"daily": FLAG, "weekly": FLAG}),
        "do_not_disturb": object_of(
            {
                "enabled": FLAG,
                "start": TEXT | {"example": "22:00"},
                "end": TEXT | {"example": "07:00"},
                "days": WEEKDAYS,
                "whole_days": WEEKDAYS,
                "allow_urgent": FLAG,
            }
        ),
        "time_zone": TEXT | {"example": "Europe/Berlin"},
    }
)
CHANNEL = [OpenApiParameter("channel", str, description="Addresses of this channel only.")]
DISABLED = object_of(
    {"results": array_of(object_of({"channel": TEXT, "address": TEXT, "reason": TEXT, "created_at": MOMENT}))}
)
READ_ALL = {"types": TextList(child=Text(max_length=40)), "until": DateTime()}


class NotificationSerializer(serializers.ModelSerializer):
    is_read = serializers.SerializerMethodField()
    actor = serializers.SerializerMethodField()

    class Meta:
        model = Notification
        fields = [
            "id", "type", "title", "body", "entity", "object_id", "count", "actor", "data", "is_read",
            "created_at", "read_at", "archived_at",
        ]  # fmt: skip

    def get_is_read(self, row: Notification) -> bool:
        return row.read_at is not None

    def get_actor(self, row: Notification) -> dict[str, Any] | None:
        return self.context.get("actors", {}).get(row.actor_id)


class NotificationViewSet(ReadOnlyResourceViewSet):
    """What you were told: newest first, without what you archived or may no longer see."""

    model = Notification
    queryset = Notification.objects.none()
    serializer_class = NotificationSerializer
    filterset_fields = ("type",)
    parameters = ("unread", "archived")
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

    def filter_queryset(self, rows: QuerySet) -> QuerySet:
        rows = super().filter_queryset(rows).filter(archived_at__isnull=not flag(self.request, "archived"))
        text = self.request.query_params.get("unread", "")
        return rows.filter(read_at__isnull=flag(self.request, "unread")) if text else rows

    def _shown(self, rows: Any) -> Any:
        found = list(rows)
        context = {**self.get_serializer_context(), "actors": actors_of(found)}
        return NotificationSerializer(found, many=True, context=context).data

    @extend_schema(responses={200: COUNTS})
    @action(methods=["get"], detail=False)
    def counts(self, request: Request) -> Response:
        """How many are unread, in all and by type."""
        return Response(inbox.counts(request.user))

    @extend_schema(methods=["GET"], responses={200: PREFERENCES})
    @extend_schema(methods=["PATCH"], request={"application/json": PREFERENCES}, responses={200: PREFERENCES})
    @action(methods=["get", "patch"], detail=False)
    def preferences(self, request: Request) -> Response:
        """Channels by type, digests, quiet hours and time zone; PATCH changes what it names."""
        if request.method == "PATCH":
            return Response(
                preferences.shown(preferences_update.update_preferences(request.user, request.data))
            )
        return Response(preferences.shown(preferences.of(request.user)))

    @extend_schema(methods=["GET"], responses={200: DISABLED}, parameters=CHANNEL)
    @extend_schema(methods=["DELETE"], responses={204: None}, parameters=CHANNEL)
    @action(methods=["get", "delete"], detail=False)
    def disabled_addresses(self, request: Request) -> Response:
        """Your addresses that were refused for good; DELETE lets them be tried again."""
        rows = filtered(request, sending.disabled_of(request.user), ("channel",))
        if request.method == "DELETE":
            rows.delete()
            return Response(status=204)
        return Response({"results": list(rows.values("channel", "address", "reason", "created_at"))})

    @extend_schema(
        request=None, responses={201: object_of({"ticket": TEXT, "expires_in": COUNT, "url": TEXT})}
    )
    @action(methods=["post"], detail=False)
    @takes_no_body
    def ticket(self, request: Request) -> Response:
        """A ticket that opens the WebSocket once, within the next 30 seconds."""
        principal = tickets.principal_of(request.auth)
        if principal is None:
            raise ForbiddenError("Only a session or an API key gets a ticket.")
        url = f"/ws/notifications/?ticket={(text := tickets.issue(principal))}"
        return Response({"ticket": text, "expires_in": tickets.LIFE_S, "url": url}, 201)

    @extend_schema(request=None)
    @action(methods=["post"], detail=True)
    @takes_no_body
    def read(self, request: Request, pk: str) -> Response:
        """Mark as read."""
        return self._marked(read_at=timezone.now())

    @extend_schema(request=None)
    @action(methods=["post"], detail=True)
    @takes_no_body
    def unread(self, request: Request, pk: str) -> Response:
        """Mark as not read."""
        return self._marked(read_at=None)

    @extend_schema(request=None)
    @action(methods=["post"], detail=True)
    @takes_no_body
    def archive(self, request: Request, pk: str) -> Response:
        """Take out of the list; `archived=true` still shows it."""
        return self._marked(archived_at=timezone.now())

    @extend_schema(request=None)
    @action(methods=["post"], detail=True)
    @takes_no_body
    def unarchive(self, request: Request, pk: str) -> Response:
        """Bring back into the list."""
        return self._marked(archived_at=None)

    @extend_schema(
        request={"application/json": of_kinds(READ_ALL)}, responses={200: object_of({"read": COUNT})}
    )
    @action(methods=["post"], detail=False)
    def read_all(self, request: Request) -> Response:
        """Mark everything as read, or some `types`, or what came `until` a moment."""
        body = validated_body(request, READ_ALL)
        return Response({"read": inbox.read_all(request.user, body.get("types"), body.get("until"))})

    def _marked(self, **mark: Any) -> Response:
        """Set a mark that is not set yet; one's own inbox needs no role."""
        found = self.get_object()
        ((name, value),) = mark.items()
        if (getattr(found, name) is None) != (value is None):
            inbox.mark(found, name, value)
        return Response(self._shown([found])[0])
