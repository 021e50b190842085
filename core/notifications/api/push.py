"""Browsers that take web push, over HTTP."""

import base64
import binascii
import hmac
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission
from core.accounts.models import User
from core.api.bodies import takes_no_body
from core.api.resources import ReadOnlyResourceViewSet
from core.errors import ConflictError
from core.notifications import planning
from core.notifications.channels import push
from core.notifications.models import PushSubscription
from core.outbound.addresses import parse_url

# An uncompressed point of P-256, and 16 random bytes (RFC 8291 section 3).
POINT_BYTES, SECRET_BYTES = 65, 16
MAX_BROWSERS = 20


def _bytes_of(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return b""


def _on_curve(point: bytes) -> bool:
    """Whether nothing can be encrypted for it is known here, and not when something is to be sent."""
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        return False
    return True


def _same_secret(one: str, other: str) -> bool:
    return hmac.compare_digest(_bytes_of(one), _bytes_of(other))


class KeysSerializer(serializers.Serializer):
    p256dh = serializers.CharField(max_length=120)
    auth = serializers.CharField(max_length=40)

    def validate_p256dh(self, text: str) -> str:
        point = _bytes_of(text)
        if len(point) != POINT_BYTES or point[0] != 4 or not _on_curve(point):
            raise serializers.ValidationError(gettext("Not a public key of P-256."), code="invalid")
        return text

    def validate_auth(self, text: str) -> str:
        if len(_bytes_of(text)) != SECRET_BYTES:
            raise serializers.ValidationError(gettext("Not 16 bytes in base64url."), code="invalid")
        return text


class PushSubscriptionSerializer(serializers.ModelSerializer):
    """As the browser's `PushSubscription.toJSON()` gives it; the keys are never shown again."""

    keys = KeysSerializer(write_only=True)
    expirationTime = serializers.IntegerField(required=False, allow_null=True, write_only=True)
    endpoint = serializers.CharField(max_length=1_000)

    class Meta:
        model = PushSubscription
        fields = ["id", "endpoint", "keys", "expirationTime", "user_agent", "created_at", "last_used_at"]
        read_only_fields = ["user_agent", "created_at", "last_used_at"]

    def validate_endpoint(self, url: str) -> str:
        """It is called from here, so it must be one that may be (core.outbound)."""
        parse_url(url)
        return url

    def create(self, validated_data: dict[str, Any]) -> PushSubscription:
        """A browser that subscribes again, or for another user, keeps one row. Raises ConflictError for an
        endpoint of somebody else's: only the browser itself knows the secret it was made with."""
        values = validated_data["keys"] | {
            "user": self.context["request"].user,
            "user_agent": self.context["request"].headers.get("User-Agent", "")[:300],
        }
        others = PushSubscription.objects.select_for_update().exclude(user=values["user"])
        present = others.filter(endpoint=validated_data["endpoint"]).first()
        if present is not None and not _same_secret(present.auth, values["auth"]):
            raise ConflictError(gettext("Another user's browser has this endpoint."), code="endpoint_taken")
        found, _ = PushSubscription.objects.update_or_create(
            endpoint=validated_data["endpoint"], defaults=values
        )
        self._forget_oldest(values["user"])
        return found

    def _forget_oldest(self, user: User) -> None:
        """Each message calls every browser there is, so nobody has more of them than a person uses."""
        newest = PushSubscription.objects.filter(user=user).order_by("-pk").values("pk")[:MAX_BROWSERS]
        PushSubscription.objects.filter(user=user).exclude(pk__in=newest).delete()


class PushKeySerializer(serializers.Serializer):
    public_key = serializers.CharField()


class SentTestSerializer(serializers.Serializer):
    notification = serializers.IntegerField(help_text="Its id.")


class PushSubscriptionViewSet(mixins.CreateModelMixin, mixins.DestroyModelMixin, ReadOnlyResourceViewSet):
    """Your browsers that receive web push."""

    model = PushSubscription
    queryset = PushSubscription.objects.all()
    serializer_class = PushSubscriptionSerializer
    action_permissions = {"create": Permission.VIEW, "destroy": Permission.VIEW, "test": Permission.VIEW}

    @extend_schema(responses=PushKeySerializer, filters=False)
    @action(methods=["get"], detail=False)
    def key(self, request: Request) -> Response:
        """The key (VAPID, RFC 8292) that browsers subscribe with."""
        return Response({"public_key": push.public_key()})

    @extend_schema(request=None, responses={202: SentTestSerializer})
    @action(methods=["post"], detail=False)
    @takes_no_body
    def test(self, request: Request) -> Response:
        """Send yourself a push message, to see that it arrives."""
        return Response({"notification": planning.push_test(request.user)}, 202)
