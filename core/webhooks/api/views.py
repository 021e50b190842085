"""Webhook subscriptions and their deliveries over HTTP."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission
from core.api.bodies import takes_no_body, validated_body
from core.api.resources import ReadOnlyResourceViewSet, ResourceViewSet
from core.api.schema.lists import nested_list_parameters
from core.api.schema.parts import TEXT, array_of
from core.webhooks import events, operations
from core.webhooks.api.serializers import (
    DeliverySerializer,
    RedeliveredSerializer,
    RedeliverySerializer,
    SecretSerializer,
    WebhookSerializer,
)
from core.webhooks.models import WebhookDelivery, WebhookSubscription


class DeliveryViewSet(ReadOnlyResourceViewSet):
    """Deliveries of all webhooks and of workflows, with every attempt."""

    model = WebhookDelivery
    queryset = WebhookDelivery.objects.prefetch_related("log").order_by("-id")
    serializer_class = DeliverySerializer
    filterset_fields = ("status", "event", "execution_id", "entity", "object_id", "subscription")
    ordering_fields = ("created_at", "id")

    @extend_schema(request=None, responses={202: DeliverySerializer})
    @action(methods=["post"], detail=True)
    @takes_no_body
    def redeliver(self, request: Request, pk: str) -> Response:
        """Send the message again, under the same `webhook-id`."""
        row = self.get_object()
        operations.redeliver(row)
        row.refresh_from_db()
        return Response(DeliverySerializer(row).data, status=202)


class WebhookViewSet(ResourceViewSet):
    """Subscriptions to events: signed as Standard Webhooks specifies, retried for three days."""

    model = WebhookSubscription
    queryset = WebhookSubscription.objects.order_by("-id")
    serializer_class = WebhookSerializer
    filterset_fields = ("is_enabled", "name", "owner")
    ordering_fields = ("name", "created_at", "updated_at", "id")
    allowed_query_params = {"list": None, "deliveries": None}
    secret_answers = {"create": ("secret",), "rotate_secret": ("secret",)}
    action_permissions = {"deliveries": Permission.VIEW, "events": Permission.VIEW}

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Create a webhook; only this answer shows its secret."""
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
        """List the events; besides them there are `<model>.<field>_changed` for every field, and
        `<model>.*`."""
        return Response(events.known())

    @extend_schema(
        operation_id="webhooks_deliveries_list",
        responses=DeliverySerializer(many=True),
        parameters=nested_list_parameters(DeliveryViewSet),
        filters=False,
    )
    @action(methods=["get"], detail=True)
    def deliveries(self, request: Request, pk: str) -> Response:
        """List the webhook's messages, sent or waiting, with every attempt; newest first."""
        return DeliveryViewSet.nested_list(request, subscription=self.get_object())

    @extend_schema(request=None, responses=SecretSerializer)
    @action(methods=["post"], detail=True)
    @takes_no_body
    def rotate_secret(self, request: Request, pk: str) -> Response:
        """Create a new secret, shown only once; the old one signs as well for 24 hours."""
        return Response({"secret": operations.rotate(self.get_object())})

    @extend_schema(request=None, responses={200: WebhookSerializer})
    @action(methods=["post"], detail=True)
    @takes_no_body
    def enable(self, request: Request, pk: str) -> Response:
        """Enable the webhook again."""
        row = self.get_object()
        operations.enable(row)
        return Response(self.get_serializer(row).data)

    @extend_schema(request=None, responses={200: WebhookSerializer})
    @action(methods=["post"], detail=True)
    @takes_no_body
    def disable(self, request: Request, pk: str) -> Response:
        """Disable the webhook; waiting messages are cancelled when they are due."""
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

    @extend_schema(request=RedeliverySerializer, responses={202: RedeliveredSerializer})
    @action(methods=["post"], detail=True)
    def redeliver(self, request: Request, pk: str) -> Response:
        """Send all messages again that failed since a time."""
        since = validated_body(request, RedeliverySerializer)["since"]
        return Response({"redelivered": operations.redeliver_failed(self.get_object(), since)}, status=202)
