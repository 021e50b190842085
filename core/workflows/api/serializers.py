"""Workflows, their runs and e-mail templates as JSON."""

from typing import Any

from rest_framework import serializers

from core.access import Role, role_of
from core.accounts.models import User
from core.api.resources import StrictSerializer
from core.entities import entities
from core.errors import ForbiddenError
from core.mail.models import EmailTemplate
from core.workflows import definition, templating
from core.workflows.actions.messages import PARTS
from core.workflows.inbound import hook_url
from core.workflows.models import Workflow, WorkflowExecution, WorkflowStep, WorkflowVersion
from core.workflows.run_context import names_for


class WorkflowSerializer(StrictSerializer):
    """A workflow. Its definition is checked as a whole; secrets in it are sealed and shown as a mask."""

    trigger_conditions = serializers.JSONField(required=False)
    actions = serializers.JSONField()
    run_as = serializers.PrimaryKeyRelatedField(queryset=User.objects.filter(is_active=True), required=False)
    hook_url = serializers.SerializerMethodField()

    class Meta:
        model = Workflow
        fields = [
            "id", "name", "description", "status", "trigger_type", "trigger_conditions", "actions", "run_as",
            "version", "hook_url", "created_by", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["version", "created_by", "created_at", "updated_at"]

    def get_hook_url(self, row: Workflow) -> str | None:
        return hook_url(row) or None

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """The definition as it would be. Raises InvalidError; ForbiddenError for a principal beyond one's
        own rights."""
        user = self.context["request"].user
        if "actions" in attrs:
            before = self.instance.actions if self.instance else None
            attrs["actions"] = definition.sealed(attrs["actions"], before)
        given = {name: attrs.get(name, getattr(self.instance, name, None)) for name in definition.PARTS}
        if any(name in attrs for name in definition.PARTS):
            definition.check(given | {"actions": definition.unsealed(given["actions"])}, user)
        definition.require_scopes(given, user)
        return self._principal(attrs, user)

    def _principal(self, attrs: dict[str, Any], user: User) -> dict[str, Any]:
        """Who writes a workflow is whom it acts as; administrators may name another."""
        if role_of(user) == Role.ADMIN:
            return attrs if self.instance else {"run_as": user, **attrs}
        if attrs.get("run_as", user) != user:
            raise ForbiddenError("Only administrators let a workflow act as somebody else.")
        return attrs | {"run_as": user}

    def to_representation(self, row: Workflow) -> dict[str, Any]:
        shown = super().to_representation(row)
        return shown | {"actions": definition.masked(row.actions)}


class VersionSerializer(serializers.ModelSerializer):
    class Meta:
        model = WorkflowVersion
        fields = ["number", "trigger_type", "trigger_conditions", "actions", "created_at"]

    def to_representation(self, row: WorkflowVersion) -> dict[str, Any]:
        return super().to_representation(row) | {"actions": definition.masked(row.actions)}


class StepSerializer(serializers.ModelSerializer):
    class Meta:
        model = WorkflowStep
        fields = [
            "position", "path", "type", "status", "attempts", "input", "output", "error_code", "error",
            "started_at", "finished_at", "next_at",
        ]  # fmt: skip


class ExecutionSerializer(serializers.ModelSerializer):
    """A run with its steps. `due_at` of one that waits is when it goes on."""

    steps = StepSerializer(many=True, read_only=True)
    version = serializers.IntegerField(source="version.number", read_only=True)
    retry_of = serializers.IntegerField(source="retry_of_id", read_only=True)
    cause = serializers.IntegerField(source="cause_id", read_only=True)
    run_as = serializers.IntegerField(source="run_as_id", read_only=True)
    requested_by = serializers.IntegerField(source="requested_by_id", read_only=True)

    class Meta:
        model = WorkflowExecution
        fields = [
            "id", "workflow", "version", "status", "entity", "object_id", "event_key", "change_id", "cause",
            "depth", "trigger_data", "run_as", "requested_by", "retry_of", "attempt", "error_code", "error",
            "due_at", "created_at", "started_at", "finished_at", "steps",
        ]  # fmt: skip


class EmailTemplateSerializer(StrictSerializer):
    """An e-mail template; the names it reads are checked against `entity`, and again where it is used."""

    class Meta:
        model = EmailTemplate
        fields = [
            "id", "key", "name", "entity", "subject", "text", "html", "transactional", "created_by",
            "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["created_by", "created_at", "updated_at"]

    def to_internal_value(self, data: Any) -> Any:
        """`body` is taken for `text`, which the `send_email` action calls so."""
        if isinstance(data, dict) and "body" in data:
            if "text" in data:
                raise serializers.ValidationError(
                    {"body": [serializers.ErrorDetail("Given under two names.", "given_twice")]}
                )
            data = {("text" if name == "body" else name): value for name, value in data.items()}
        return super().to_internal_value(data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        present = {
            name: attrs.get(name, getattr(self.instance, name, ""))
            for name in ("entity", "subject", "text", "html")
        }
        if not present["text"] and not present["html"]:
            raise serializers.ValidationError({"text": ["Give text or html."]})
        names = template_names(present["entity"])
        for part, landing in PARTS:
            try:
                templating.check(present[part], names, landing)
            except templating.TemplateRefusedError as error:
                raise serializers.ValidationError({part: [error.message]}) from error
        return attrs


def template_names(entity_name: str) -> Any:
    """What a template may read: of its entity's record, or of any entity's where it has none."""
    if entity_name:
        if entity_name not in entities:
            raise serializers.ValidationError({"entity": [f"Known: {', '.join(entities.keys())}."]})
        return names_for(entities[entity_name])
    found: dict[str, Any] = {}
    for entity in entities:
        found |= names_for(entity)
    return found | {"record": None}
