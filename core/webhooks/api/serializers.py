"""Webhook subscriptions and their deliveries as JSON, and what their actions take and answer."""

from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from core.access import Role, role_of, scopes
from core.accounts.models import User
from core.api.resources import StrictSerializer
from core.api.strict import StrictFieldsMixin
from core.conditions import parse, resources_behind
from core.entities.field_types import DateTime
from core.errors import ForbiddenError, InvalidError
from core.outbound import addresses
from core.webhooks import events
from core.webhooks.models import WebhookAttempt, WebhookDelivery, WebhookSubscription


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
        owner = self._owner(attrs, user)
        found = [events.entity_of_event(name, owner) for name in names]
        about = {entity.name: entity for entity in found}
        scopes.require(user, *(entity.plural for entity in about.values()))
        conditions = attrs.get("conditions", getattr(self.instance, "conditions", {}))
        if conditions and len(about) > 1:
            raise InvalidError.of("conditions", _("Conditions need events of one model only."))
        if conditions:
            condition = parse(next(iter(about.values())), conditions, changes=True)
            scopes.require(user, *sorted(resources_behind(condition)))
        if role_of(user) == Role.ADMIN:
            return attrs if self.instance else {"owner": user, **attrs}
        if attrs.get("owner", user) != user:
            raise ForbiddenError(_("Only administrators let a webhook hear for somebody else."))
        return attrs | {"owner": user}

    def _owner(self, attrs: dict[str, Any], user: Any) -> Any:
        """Whose rights what it hears is limited by."""
        if role_of(user) != Role.ADMIN:
            return user
        return attrs.get("owner", self.instance.owner if self.instance else user)


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


class SecretSerializer(serializers.Serializer):
    """A secret, shown only once."""

    secret = serializers.CharField()


class RedeliverySerializer(StrictFieldsMixin, serializers.Serializer):
    """Since when."""

    since = DateTime()


class RedeliveredSerializer(serializers.Serializer):
    redelivered = serializers.IntegerField()
