"""/api/v1/audit/seals/: the chain over the change table, for administrators."""

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.resources import ReadOnlyResourceViewSet
from core.changes import seals
from core.changes.models import AuditSeal, AuditVerification


class HexField(serializers.Field):
    """Bytes as hexadecimal digits."""

    def to_representation(self, value: Any) -> str:
        return bytes(value).hex()


class AuditSealSerializer(serializers.ModelSerializer):
    """A link of the chain; `is_in_force` is false once an erasure or the retention replaced it."""

    first_change = serializers.IntegerField(source="first_id", read_only=True)
    last_change = serializers.IntegerField(source="last_id", read_only=True)
    actor = serializers.IntegerField(source="actor_id", read_only=True, allow_null=True)
    is_in_force = serializers.BooleanField(read_only=True)
    hash = extend_schema_field(serializers.CharField())(HexField)(read_only=True)
    previous = extend_schema_field(serializers.CharField())(HexField)(read_only=True)

    class Meta:
        model = AuditSeal
        fields = [
            "id", "kind", "first_change", "last_change", "rows", "affected", "reason", "actor", "at",
            "is_in_force", "hash", "previous",
        ]  # fmt: skip
        read_only_fields = fields


class AuditAnchorSerializer(serializers.Serializer):
    """What to keep elsewhere of a seal, for `manage.py audit_verify --anchor`."""

    seal = serializers.IntegerField()
    hash = serializers.CharField()
    last_change = serializers.IntegerField()
    at = serializers.DateTimeField()


class AuditVerificationSerializer(serializers.ModelSerializer):
    """A comparison of the change table with its seals."""

    class Meta:
        model = AuditVerification
        fields = ["id", "at", "first_seal", "last_seal", "rows", "anchors", "problems", "first_problem"]
        read_only_fields = fields


class AuditStateSerializer(serializers.Serializer):
    """How far the chain is, and what the last verification found."""

    anchor = AuditAnchorSerializer(allow_null=True)
    unsealed = serializers.IntegerField()
    last_verification = AuditVerificationSerializer(allow_null=True)


class AuditSealViewSet(ReadOnlyResourceViewSet):
    """The seals of the change table: a hash chain that shows what was done to it afterwards."""

    model = AuditSeal
    queryset = seals.links()
    serializer_class = AuditSealSerializer
    filterset_fields = ("kind",)
    ordering_fields = ("id",)

    @extend_schema(responses=AuditStateSerializer)
    @action(methods=["get"], detail=False)
    def state(self, request: Request) -> Response:
        """The newest seal as an anchor, how many changes are not sealed yet, the last verification."""
        last = seals.last_seal()
        found = {
            "anchor": seals.anchor(last) if last else None,
            "unsealed": seals.unsealed(),
            "last_verification": AuditVerification.objects.first(),
        }
        return Response(AuditStateSerializer(found).data)
