"""Workflows, their runs and e-mail templates as JSON, and what their actions take and answer."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from core.access import Permission, Role, role_of, scopes
from core.accounts.models import User
from core.api.bulk import IdsField, matching_ids
from core.api.resources import StrictSerializer
from core.api.strict import StrictFieldsMixin
from core.entities import Entity, entities
from core.entities.field_types import BIGINT_MAX, Choice, DateTime, Integer
from core.errors import FieldIssue, ForbiddenError, InvalidError, NotVisibleError
from core.mail.models import EmailTemplate
from core.workflows import definition, engine, templating
from core.workflows.actions.messages import PARTS
from core.workflows.backtest import MAX_DAYS
from core.workflows.inbound import hook_url
from core.workflows.models import Workflow, WorkflowExecution, WorkflowStep, WorkflowVersion
from core.workflows.params import REFERRED
from core.workflows.readers import RunReader
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
            opened = given | {"actions": definition.unsealed(given["actions"])}
            definition.check(opened, user, self._acts_as(attrs, user))
        definition.require_scopes(given, user)
        return self._principal(attrs, user)

    def _acts_as(self, attrs: dict[str, Any], user: User) -> User | None:
        """Whose rights its runs will have."""
        if role_of(user) != Role.ADMIN:
            return user
        return attrs.get("run_as", self.instance.run_as if self.instance else user)

    def _principal(self, attrs: dict[str, Any], user: User) -> dict[str, Any]:
        """Who writes a workflow is whom it acts as; administrators may name another."""
        if role_of(user) == Role.ADMIN:
            return attrs if self.instance else {"run_as": user, **attrs}
        if attrs.get("run_as", user) != user:
            raise ForbiddenError(_("Only administrators let a workflow act as somebody else."))
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
    withheld = serializers.BooleanField(
        default=False,
        read_only=True,
        help_text="Whether output and error are left out, because they tell what you may not see.",
    )

    class Meta:
        model = WorkflowStep
        fields = [
            "position", "path", "type", "status", "attempts", "input", "output", "error_code", "error",
            "withheld", "started_at", "finished_at", "next_at",
        ]  # fmt: skip


class ExecutionSerializer(serializers.ModelSerializer):
    """A run with its steps, without what you may not see. `due_at` of a waiting run is when it continues."""

    steps = StepSerializer(many=True, read_only=True)
    version = serializers.IntegerField(source="version.number", read_only=True)
    retry_of = serializers.IntegerField(source="retry_of_id", read_only=True, allow_null=True)
    cause = serializers.IntegerField(source="cause_id", read_only=True, allow_null=True)
    run_as = serializers.IntegerField(source="run_as_id", read_only=True, allow_null=True)
    requested_by = serializers.IntegerField(source="requested_by_id", read_only=True, allow_null=True)
    withheld = serializers.BooleanField(
        default=False,
        read_only=True,
        help_text="Whether trigger_data or the error are left out, or anything of a step.",
    )

    class Meta:
        model = WorkflowExecution
        fields = [
            "id", "workflow", "version", "status", "entity", "object_id", "event_key", "change_id", "cause",
            "depth", "trigger_data", "run_as", "requested_by", "retry_of", "attempt", "error_code", "error",
            "withheld", "due_at", "created_at", "started_at", "finished_at", "steps",
        ]  # fmt: skip

    def to_representation(self, run: WorkflowExecution) -> dict[str, Any]:
        return shown_to(self._reader, run, super().to_representation(run))

    @property
    def _reader(self) -> RunReader:
        """The one that has looked up the records of a list's runs, or one for this run."""
        found: RunReader | None = self.context.get("reader")
        return found or RunReader(self.context["request"].user)


def shown_to(reader: RunReader, run: WorkflowExecution, shown: dict[str, Any]) -> dict[str, Any]:
    """A run as JSON, without what its reader may not see."""
    steps = [_step_shown_to(reader, run, step) for step in shown["steps"]]
    payload, is_step = reader.payload(run), any(step["withheld"] for step in steps)
    is_withheld = is_step or payload != run.trigger_data or not reader.sees_record(run.entity, run.object_id)
    error = "" if is_withheld else shown["error"]
    return shown | {"steps": steps, "trigger_data": payload, "error": error, "withheld": is_withheld}


def _step_shown_to(reader: RunReader, run: WorkflowExecution, step: dict[str, Any]) -> dict[str, Any]:
    seen = reader.sees_step(
        run.entity, run.object_id, step["type"], step["input"], step["output"], run.trigger_data
    )
    if seen:
        return step
    return step | {"output": {}, "error": "", "withheld": True}


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
                    {"body": [serializers.ErrorDetail(_("Given under two names."), "given_twice")]}
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
            raise serializers.ValidationError({"text": [_("Give text or html.")]})
        names = template_names(present["entity"], self.context["request"].user)
        for part, escaping in PARTS:
            try:
                templating.check(present[part], names, escaping)
            except templating.TemplateRefusedError as error:
                raise serializers.ValidationError({part: [error.message]}) from error
        return attrs


def template_names(entity_name: str, user: Any) -> Any:
    """What a template may read that `user` writes: of its entity's record, or of any entity's where it has
    none."""
    if entity_name:
        if entity_name not in entities:
            raise serializers.ValidationError(
                {"entity": [_("Known: %(names)s.") % {"names": ", ".join(entities.keys())}]}
            )
        return names_for(entities[entity_name].for_user(user))
    found: dict[str, Any] = {}
    for entity in entities:
        found |= names_for(entity.for_user(user))
    return found | {"record": None}


# ---- Bodies ----

NAMED_SHOWN = 50


class RecordDataSerializer(serializers.Serializer):
    """The record of a run, a dry run or a preview (`{"lead_id": 5}`, or `record_id` if the model is known),
    and beside it the payload, which may hold anything.
    """

    record_id = Integer(min_value=1, max_value=BIGINT_MAX, required=False, help_text="Of the known model.")

    def get_fields(self) -> dict[str, serializers.Field]:
        fields = super().get_fields()
        if self.context.get("model") == "":
            del fields["record_id"]  # of no model: it is part of the payload
        names = [f"{entity.name}_id" for entity in entities]
        return fields | {name: Integer(min_value=1, max_value=BIGINT_MAX, required=False) for name in names}

    @property
    def user(self) -> User:
        return self.context["request"].user

    @property
    def model(self) -> str:
        return self.context["model"]

    def to_internal_value(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """`entity` and `object_id` of the record, and the whole of the payload as `data`."""
        super().to_internal_value(data)
        return self.named(dict(data))

    def named(self, data: dict[str, Any]) -> dict[str, Any]:
        """Raises InvalidError, and NotVisibleError for a record that the user does not see."""
        name, object_id = engine.record_named(data, self.model)
        if object_id is not None:
            scopes.require(self.user, entities[name].plural)
            if not entities[name].visible_to(self.user).filter(pk=object_id).exists():
                raise NotVisibleError(_("There is no such %(name)s.") % {"name": name})
        return {"entity": name, "object_id": object_id, "data": data}


class PreviewSerializer(RecordDataSerializer):
    """The record that a mail is rendered for."""

    def named(self, data: dict[str, Any]) -> dict[str, Any]:
        name, object_id = engine.record_named(data, self.model)
        if object_id is None:
            missing = name or entities.keys()[0]
            raise InvalidError.of(f"{missing}_id", _("Name a record to render the mail for."), "required")
        return super().named(data)


class ExecuteSerializer(RecordDataSerializer):
    """One record, or several by their ids or by a `filter`, and the payload of their runs.

    Where several are named, `ids` are theirs.
    """

    filter = serializers.JSONField(required=False, help_text="A condition in place of ids.")

    def get_fields(self) -> dict[str, serializers.Field]:
        return super().get_fields() | {f"{entity.name}_ids": IdsField(required=False) for entity in entities}

    def to_internal_value(self, data: Mapping[str, Any]) -> dict[str, Any]:
        several = [name for name in (*(f"{e.name}_ids" for e in entities), "filter") if name in data]
        if not several:
            return super().to_internal_value(data)
        one = [name for name in (*(f"{e.name}_id" for e in entities), "record_id") if name in data]
        if len(several) + len(one) > 1:
            raise InvalidError.of([*several, *one][1], _("Name the records once."), "given_twice")
        entity = self._entity_of(several[0])
        payload = {name: value for name, value in data.items() if name != several[0]}
        values = serializers.Serializer.to_internal_value(self, data)
        return {"entity": entity.name, "ids": self._ids(entity, several[0], values), "data": payload}

    def _entity_of(self, name: str) -> Entity:
        """The entity of the records that the field names. Raises InvalidError."""
        entity = entities.get(self.model if name == "filter" else name.removesuffix("_ids"))
        if entity is None:
            raise InvalidError.of(name, _("This workflow is about no model: name records by their ids."))
        if self.model and entity.name != self.model:
            raise InvalidError.of(
                name, _("This workflow is about a %(model)s.") % {"model": self.model}, "wrong_model"
            )
        scopes.require(self.user, entity.plural)
        return entity.for_user(self.user)

    def _ids(self, entity: Entity, name: str, values: Mapping[str, Any]) -> list[int]:
        """Ids of the records, each once. Raises InvalidError for those that the user does not see."""
        if name == "filter":
            return matching_ids(entity, self.user, values[name], Permission.VIEW)
        ids = list(dict.fromkeys(values[name]))
        seen = set(entity.visible_to(self.user).filter(pk__in=ids).values_list("pk", flat=True))
        message = _("There is no such %(name)s.") % {"name": entity.name}
        issues = [
            FieldIssue(f"{name}[{i}]", "does_not_exist", message)
            for i, pk in enumerate(ids)
            if pk not in seen
        ]
        if issues:
            raise InvalidError(issues[:NAMED_SHOWN])
        return ids


class StartedSerializer(serializers.Serializer):
    """The run that was started, or how many runs and which."""

    success = serializers.BooleanField()
    execution_id = serializers.IntegerField(required=False)
    status = serializers.CharField(required=False)
    started = serializers.IntegerField(required=False)
    execution_ids = serializers.ListField(child=serializers.IntegerField(), required=False)


class BacktestSerializer(StrictFieldsMixin, serializers.Serializer):
    """How far back to look."""

    days = Integer(min_value=1, max_value=MAX_DAYS, required=False, allow_null=True)


class DryRunSerializer(serializers.Serializer):
    """Which conditions hold, and what each action would do. What you may not see is `withheld`: whether a
    condition is met, or what an action would do."""

    would_run = serializers.BooleanField(
        allow_null=True, help_text="Null if that depends on what you may not see."
    )
    conditions = serializers.ListField(child=serializers.DictField())
    actions = serializers.ListField(child=serializers.DictField())


class BacktestResultSerializer(serializers.Serializer):
    """How many runs past changes would have started, and what some of them would have done."""

    days = serializers.IntegerField()
    changes = serializers.IntegerField(help_text="Changes looked at.")
    truncated = serializers.BooleanField(help_text="There were more changes than are looked at.")
    runs = serializers.IntegerField()
    records = serializers.IntegerField()
    by_day = serializers.DictField(child=serializers.IntegerField())
    examples = serializers.ListField(child=serializers.DictField())


class ParameterSerializer(serializers.Serializer):
    """A parameter of a trigger or action."""

    name = serializers.CharField()
    required = serializers.BooleanField()  # type: ignore[assignment]  # a field; DRF takes it off
    type = serializers.CharField(
        help_text="Of its value: `text`, `integer`, `choice`, …; `any` where that depends."
    )
    choices = serializers.ListField(
        child=serializers.CharField(), help_text="The values of a closed set; none where it is open."
    )
    refers_to = serializers.CharField(
        allow_blank=True,
        help_text=f"What the value is one of, or for which: {', '.join(REFERRED)}; else empty.",
    )
    template = serializers.BooleanField(help_text="Whether the value may be a template.")
    help = serializers.CharField()


class VocabularyItemSerializer(serializers.Serializer):
    """A trigger or action; `models` are the models it is for (empty: all)."""

    name = serializers.CharField()
    models = serializers.ListField(child=serializers.CharField())
    help = serializers.CharField()
    params = ParameterSerializer(many=True)


class ReferenceSerializer(serializers.Serializer):
    """A field that refers to another record, the models that have it, and what conditions can ask there."""

    name = serializers.CharField()
    models = serializers.ListField(child=serializers.CharField())
    conditions = serializers.ListField(child=serializers.CharField(), help_text="`company.industry`, ...")


class VocabularySerializer(serializers.Serializer):
    triggers = VocabularyItemSerializer(many=True)
    actions = VocabularyItemSerializer(many=True)
    references = ReferenceSerializer(many=True)


class BulkRetrySerializer(StrictFieldsMixin, serializers.Serializer):
    """Which failed runs; at least one field is given."""

    workflow = Integer(min_value=1, max_value=BIGINT_MAX, required=False, allow_null=True)
    status = Choice(choices=tuple(WorkflowExecution.RETRYABLE), required=False, allow_null=True)
    created_after = DateTime(required=False, allow_null=True)
    created_before = DateTime(required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if all(value is None for value in attrs.values()):
            raise InvalidError.of("", _("Name the runs to retry; nothing would name all."), "required")
        return attrs


class RetriedSerializer(serializers.Serializer):
    retried = serializers.IntegerField()


class HookSecretSerializer(serializers.Serializer):
    """The address of an inbound webhook and its secret, shown only once."""

    url = serializers.CharField()
    secret = serializers.CharField()


class HookAcceptedSerializer(serializers.Serializer):
    """Whether a run was started; none is if no record meets the conditions."""

    accepted = serializers.BooleanField()
    execution_id = serializers.IntegerField(allow_null=True)


class RenderedMailSerializer(serializers.Serializer):
    subject = serializers.CharField()
    text = serializers.CharField()
    html = serializers.CharField()


class TemplateVariablesSerializer(serializers.Serializer):
    """The names that a template reads, and all that it could read."""

    used = serializers.ListField(child=serializers.CharField())
    known = serializers.ListField(child=serializers.CharField())
