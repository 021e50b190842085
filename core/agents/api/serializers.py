"""Grants and sessions of AI clients as JSON."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.activities.api.attached import AuthorField
from core.agents.models import AgentGrant, AgentSession


class AgentUsageSerializer(serializers.Serializer):
    """The rows that were read and written within an hour."""

    hour = serializers.DateTimeField()
    rows_read = serializers.IntegerField()
    rows_written = serializers.IntegerField()


class AgentGrantSerializer(serializers.ModelSerializer):
    """What a user allows an AI client to do, by an API key (`api_key`) or by consent."""

    user = AuthorField(read_only=True)
    scopes = serializers.ListField(source="held_scopes", child=serializers.CharField(), read_only=True)
    may_write = serializers.BooleanField(read_only=True)
    usage = AgentUsageSerializer(read_only=True, allow_null=True)

    class Meta:
        model = AgentGrant
        fields = [
            "id", "user", "name", "api_key", "scopes", "may_write", "reads_per_hour", "writes_per_hour",
            "dry_run", "usage", "created_at", "last_used_at", "expires_at", "revoked_at",
        ]  # fmt: skip
        read_only_fields = fields


class KeptRowSerializer(serializers.Serializer):
    """A row that the undo left as it is, and why; `fields` if only some of its fields stayed."""

    entity = serializers.CharField()
    id = serializers.IntegerField()
    fields = serializers.ListField(child=serializers.CharField())  # type: ignore[assignment]  # the key's name
    reason = serializers.ChoiceField(["changed_since", "permission_denied", "refused", "not_undone"])
    message = serializers.CharField()


class UndoneSerializer(serializers.Serializer):
    """The result of an undo: rows removed, rows restored, and rows of which something stayed."""

    removed = serializers.IntegerField()
    restored = serializers.IntegerField()
    kept = KeptRowSerializer(many=True)


class AgentSessionSerializer(serializers.ModelSerializer):
    """One session of an AI client. `changes` counts the rows that it changed."""

    grant = serializers.IntegerField(source="grant_id", read_only=True)
    name = serializers.CharField(source="grant.name", read_only=True)
    user = AuthorField(source="grant.user", read_only=True)
    changes = serializers.IntegerField(read_only=True)
    undone_by = serializers.IntegerField(source="undone_by_id", read_only=True, allow_null=True)
    undone = serializers.SerializerMethodField()

    class Meta:
        model = AgentSession
        fields = [
            "id", "grant", "name", "user", "started_at", "last_used_at", "ended_at", "calls", "changes",
            "undone_at", "undone_by", "undone",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(UndoneSerializer(allow_null=True))
    def get_undone(self, session: AgentSession) -> dict[str, Any] | None:
        return session.undone or None
