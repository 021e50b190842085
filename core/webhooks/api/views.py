"""Webhook subscriptions and their deliveries over HTTP."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission, Role, role_of, scopes
from core.accounts.models import User
from core.api.bodies import takes_no_body, validated_body
from core.api.pagination import numbered
from core.api.querying import filtered, ordered
from core.api.resources import ReadOnlyResourceViewSet, ResourceViewSet, StrictSerializer
from core.api.schema.lists import list_parameters
from core.api.schema.parts import JSON, MOMENT, TEXT, array_of, object_of, page_of, ref
from core.conditions import parse
from core.entities.field_types import DateTime
from core.errors import ForbiddenError, InvalidError
from core.outbound import addresses
from core.webhooks import events, operations
from core.webhooks.models import WebhookAttempt, WebhookDelivery, WebhookSubscription

SECRET = object_of({"secret": TEXT})


class WebhookSerializer(StrictSerializer):
    """A subscription. Its secret is shown once, when it is made."""

    owner = serializers.PrimaryKeyRelatedField(queryset=User.objects.filter(is_active=True), required=False)
    events = serializers.ListField(child=serializers.CharField(max_length=80), min_length=1, max_length=50)
    conditions = serializers.JSONField(required=False)

    class Meta:
        model = WebhookSubscription
        fields = [
            "id", "name", "url", "events", "conditions", "payload", "is_enabled", "disabled_reason", "owner",
            "failing_since", "last_success_at", "created_by", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = [
            "is_enabled", "disabled_reason", "failing_since", "last_success_at", "created_by", "created_at",
            "updated_at",
        ]  # fmt: skip

    def validate_url(self, url: str) -> str:
        addresses.check(url)
        return url

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Events that exist, conditions that fit them, an owner whose rights are one's own."""
        user = self.context["request"].user
        names = attrs.get("events", getattr(self.instance, "events", []))
        about = {events.entity_of_event(name).name: events.entity_of_event(name) for name in names}
        scopes.require(user, *(entity.plural for entity in about.values()))
        conditions = attrs.get("conditions", getattr(self.instance, "conditions", {}))
        if conditions and len(about) > 1:
            raise InvalidError.of("conditions", "Conditions need events of one model only.")
        if conditions:
            parse(next(iter(about.values())), conditions, changes=True)
        if role_of(user) == Role.ADMIN:
            return attrs if self.instance else {"owner": user, **attrs}
        if attrs.get("owner", user) != user:
            raise ForbiddenError("Only administrators let a webhook hear for somebody else.")
        return attrs | {"owner": user}


class AttemptSerializer(serializers.ModelSerializer):
    class Meta:
        model = WebhookAttempt
        fields = [
            "number", "at", "duration_ms", "request_headers", "response_status", "response_headers",
            "response_body", "error", "next_at",
        ]  # fmt: skip


class DeliverySerializer(serializers.ModelSerializer):
    log = AttemptSerializer(many=True, read_only=True)

    class Meta:
        model = WebhookDelivery
        fields = [
            "id", "key", "subscription", "event", "entity", "object_id", "change_id", "execution_id",
            "status", "attempts", "due_at", "response_status", "error", "created_at", "finished_at", "log",
        ]  # fmt: skip


FACTS = ("status", "event", "execution_id", "entity", "object_id")
DELIVERY_ORDERINGS = ("created_at", "id")


class WebhookViewSet(ResourceViewSet):
    """Who is told of what happens here: signed after Standard Webhooks, retried for three days."""

    model = WebhookSubscription
    queryset = WebhookSubscription.objects.order_by("-id")
    serializer_class = WebhookSerializer
    filterset_fields = ("is_enabled", "name", "owner")
    ordering_fields = ("name", "created_at", "updated_at", "id")
    allowed_query_params = {"list": None, "deliveries": None}
    secret_answers = {"create": ("secret",), "rotate_secret": ("secret",)}
    action_permissions = {"deliveries": Permission.VIEW, "events": Permission.VIEW}

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The secret is in this answer and in no other."""
        response = super().create(request, *args, **kwargs)
        response.data |= {"secret": self._secret}
        return response

    def perform_create(self, serializer: Any) -> None:
        made = WebhookSubscription()
        self._secret = operations.give_secret(made)
        self.saved(serializer, created_by=self.request.user, secret=made.secret)

    @extend_schema(responses={200: array_of(TEXT)})
    @action(methods=["get"], detail=False)
    def events(self, request: Request) -> Response:
        """The events there are; besides them every `<model>.<field>_changed`, and `<model>.*`."""
        return Response(events.known())

    @extend_schema(
        operation_id="webhooks_deliveries_list",
        responses={200: page_of(ref("Delivery"))},
        parameters=list_parameters(WebhookDelivery, FACTS, orderings=DELIVERY_ORDERINGS),
        filters=False,
    )
    @action(methods=["get"], detail=True)
    def deliveries(self, request: Request, pk: str) -> Response:
        """What was sent, or is to be, with every attempt; newest first."""
        rows = self.get_object().deliveries.prefetch_related("log").order_by("-id")
        rows = ordered(request, filtered(request, rows, FACTS, ("ordering",)), DELIVERY_ORDERINGS)
        return Response(numbered(request, rows, lambda part: DeliverySerializer(part, many=True).data).body())

    @extend_schema(request=None, responses={200: SECRET})
    @action(methods=["post"], detail=True)
    @takes_no_body
    def rotate_secret(self, request: Request, pk: str) -> Response:
        """A new secret, shown this once; the old one signs beside it for 24 hours."""
        return Response({"secret": operations.rotate(self.get_object())})

    @extend_schema(request=None, responses={200: WebhookSerializer})
    @action(methods=["post"], detail=True)
    @takes_no_body
    def enable(self, request: Request, pk: str) -> Response:
        """Switch it on again."""
        row = self.get_object()
        operations.enable(row)
        return Response(self.get_serializer(row).data)

    @extend_schema(request=None, responses={200: WebhookSerializer})
    @action(methods=["post"], detail=True)
    @takes_no_body
    def disable(self, request: Request, pk: str) -> Response:
        """Switch it off; what waits is cancelled when its turn comes."""
        row = self.get_object()
        row.is_enabled, row.disabled_reason = False, "Disabled by hand."
        row.save(update_fields=["is_enabled", "disabled_reason", "updated_at"])
        return Response(self.get_serializer(row).data)

    @extend_schema(request=None, responses={202: DeliverySerializer})
    @action(methods=["post"], detail=True)
    @takes_no_body
    def test(self, request: Request, pk: str) -> Response:
        """Send a test event."""
        return Response(DeliverySerializer(operations.send_test(self.get_object())).data, status=202)

    @extend_schema(
        request={JSON: object_of({"since": MOMENT}, ("since",))},
        responses={202: object_of({"redelivered": {"type": "integer"}})},
    )
    @action(methods=["post"], detail=True)
    def redeliver(self, request: Request, pk: str) -> Response:
        """Send again everything that failed since a time."""
        since = validated_body(request, {"since": DateTime()}).get("since")
        if since is None:
            raise InvalidError.of("since", "This field is required.", "required")
        return Response({"redelivered": operations.redeliver_failed(self.get_object(), since)}, status=202)


class DeliveryViewSet(ReadOnlyResourceViewSet):
    """Deliveries of all webhooks and of workflows, with every attempt."""

    model = WebhookDelivery
    queryset = WebhookDelivery.objects.prefetch_related("log").order_by("-id")
    serializer_class = DeliverySerializer
    filterset_fields = (*FACTS, "subscription")
    ordering_fields = DELIVERY_ORDERINGS

    @extend_schema(request=None, responses={202: DeliverySerializer})
    @action(methods=["post"], detail=True)
    @takes_no_body
    def redeliver(self, request: Request, pk: str) -> Response:
        """Send it again, under the same webhook-id."""
        row = self.get_object()
        operations.redeliver(row)
        row.refresh_from_db()
        return Response(DeliverySerializer(row).data, status=202)
