"""Actions on records: change a field, assign, create, tag."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from core.activities import mentions
from core.entities import Entity, entities, writing
from core.entities.assignment import METHODS, open_work, working_members
from core.entities.cleaning import clean_value
from core.entities.columns import Column
from core.entities.custom import PREFIX, custom_columns, schema
from core.entities.duplicate_rules import warnings_of_rules
from core.entities.field_types import Choice, Integer, Text, TextList
from core.entities.references import existing_ids
from core.errors import FieldIssue, NotVisibleError, ValueRefusedError
from core.workflows import templating
from core.workflows.actions.base import (
    Action,
    RecordAction,
    Step,
    StepRefusedError,
    StepResult,
    register,
)
from core.workflows.field_types import UserIds
from core.workflows.models import RoundRobinState
from core.workflows.params import Param, Scope

BIG = Integer(min_value=1, max_value=2**63 - 1)


def writable(entity: Entity, name: Any) -> Column | None:
    """The column a workflow may write under this name, custom fields as `custom_fields.key`."""
    if not isinstance(name, str):
        return None
    found = schema(entity, names=[name]).get(name) or entity.by_input_name.get(name)
    return found if found is not None and found.writable else None


def check_value(entity: Entity, name: Any, raw: Any, scope: Scope, path: str) -> list[FieldIssue]:
    """Faults of one value for one field: an unknown field, a bad template, a value the field refuses."""
    column = writable(entity, name)
    if column is None:
        known = ", ".join(c.name for c in entity.columns if c.writable)
        message = _("Unknown or read-only field %(name)s. Known: %(known)s.") % {
            "name": repr(str(name)[:60]),
            "known": known,
        }
        return [FieldIssue(path, "unknown_field", message)]
    try:
        if templating.names_are_read(raw):
            templating.check_value(raw, scope.names)
        else:
            clean_value(column, raw)
    except ValueRefusedError as error:
        return [FieldIssue(path, error.code, error.message)]
    return []


def as_data(name: str, value: Any) -> dict[str, Any]:
    """One field as client input; a custom one inside `custom_fields`."""
    if name.startswith(PREFIX):
        return {"custom_fields": {name.removeprefix(PREFIX): value}}
    return {name: value}


def all_as_data(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Several fields as client input, custom ones named either way together in `custom_fields`."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        for key, part in as_data(name, value).items():
            found[key] = found.get(key, {}) | part if isinstance(part, dict) else part
    return found


@register
class UpdateField(RecordAction):
    """Sets one field of the record."""

    name = "update_field"
    params = (
        Param("field", Text(max_length=120), required=True, template=False, refers_to="writable_field"),
        Param(
            "value", help_text="The new value; null or empty clears the field.", refers_to="value_of_field"
        ),
    )
    help_text = "Set a field of the record."

    def check_more(self, given: Mapping[str, Any], scope: Scope, path: str) -> list[FieldIssue]:
        return check_value(scope.entity, given["field"], given.get("value"), scope, f"{path}.field")

    def run(self, step: Step) -> StepResult:
        values = self.values(step)
        name, value = values["field"], values.get("value")
        column = writable(step.subject.entity, name)
        before = getattr(step.record, column.path, None) if column and not column.custom else None
        writing.update_from_input(step.subject.entity, step.record, as_data(name, value), step.user)
        after = getattr(step.record, column.path, None) if column and not column.custom else value
        return StepResult({"field": name, "old": _shown(before), "new": _shown(after)})


def _shown(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | list | dict | None) else str(value)


@register
class AssignRecord(RecordAction):
    """Gives the record to a user: a named one, the next in turn, or whoever has least open work."""

    name = "assign_record"
    params = (
        Param("user_id", BIG, help_text="The user.", refers_to="user"),
        Param("users", UserIds(), help_text="Several users to choose from.", refers_to="user"),
        Param(
            "team_id", BIG, help_text="Or the active members of a team, viewers left out.", refers_to="team"
        ),
        Param("method", Choice(choices=METHODS), template=False, help_text="How to choose; round_robin."),
    )
    help_text = "Assign the record."

    def check_more(self, given: Mapping[str, Any], scope: Scope, path: str) -> list[FieldIssue]:
        whom = [name for name in ("user_id", "users", "team_id") if given.get(name) not in (None, "", [])]
        if len(whom) != 1:
            return [FieldIssue(path, "required", _("Give one of user_id, users and team_id."))]
        ids = given.get("users", given.get("user_id"))
        if whom == ["team_id"] or templating.names_are_read(ids):
            return []
        missing = set(UserIds().to_internal_value(ids)) - existing_ids(
            "user", UserIds().to_internal_value(ids), scope.author
        )
        if missing:
            shown = ", ".join(map(str, sorted(missing)))
            return [
                FieldIssue(
                    f"{path}.{whom[0]}", "does_not_exist", _("No active user: %(shown)s.") % {"shown": shown}
                )
            ]
        return []

    def run(self, step: Step) -> StepResult:
        record = step.record
        user_id = self._chosen(step, self.values(step))
        before = record.assigned_to_id
        writing.update_from_input(step.subject.entity, record, {"assigned_to": user_id}, step.user)
        return StepResult({"assigned_to": user_id, "old": before})

    def _chosen(self, step: Step, values: Mapping[str, Any]) -> int:
        if values.get("user_id"):
            return values["user_id"]
        users = self._candidates(step, values)
        if not users:
            raise StepRefusedError(_("There is no active user to assign to."), code="nobody")
        if values.get("method") == "least_busy":
            work = open_work(step.subject.entity, users)
            return min(users, key=lambda user: work[user])
        return users[next_turn(step) % len(users)]

    def _candidates(self, step: Step, values: Mapping[str, Any]) -> list[int]:
        if values.get("team_id"):
            return working_members(values["team_id"])
        users = values.get("users") or []
        active = existing_ids("user", users, step.user)
        return [user for user in users if user in active]


def next_turn(step: Step) -> int:
    """A number that grows by one with each run that gets here, from 0, whoever runs it."""
    key = {"workflow_id": step.run.workflow_id, "path": step.path}
    RoundRobinState.objects.bulk_create([RoundRobinState(**key, turn=-1)], ignore_conflicts=True)
    rotation = RoundRobinState.objects.select_for_update().get(**key)
    rotation.turn += 1
    rotation.save(update_fields=["turn"])
    return rotation.turn


@register
class CreateRecord(Action):
    """Creates a record of any entity."""

    name = "create_record"
    params = (
        Param("model", Text(max_length=40), required=True, template=False, refers_to="model"),
        Param(
            "fields",
            required=True,
            help_text="Field → value; values are templates.",
            refers_to="values_by_field",
        ),
    )
    help_text = "Create a record."

    def writes(self, entity: Entity | None, given: Mapping[str, Any]) -> tuple[str, ...]:
        return (entities[given["model"]].plural,)

    def creates(self, given: Mapping[str, Any]) -> tuple[Entity, ...]:
        return (entities[given["model"]],)

    def check_more(self, given: Mapping[str, Any], scope: Scope, path: str) -> list[FieldIssue]:
        entity, fields = entities.get(given["model"]), given["fields"]
        if entity is None:
            message = _("Unknown model. Known: %(names)s.") % {"names": ", ".join(entities.keys())}
            return [FieldIssue(f"{path}.model", "unknown_model", message)]
        if not isinstance(fields, Mapping):
            return [FieldIssue(f"{path}.fields", "not_an_object", _("Expected an object."))]
        entity = entity.for_user(scope.principal)
        missing = _missing(entity, fields)
        issues = [FieldIssue(f"{path}.fields.{n}", "required", _("This field is required.")) for n in missing]
        for name, raw in fields.items():
            issues += check_value(entity, name, raw, scope, f"{path}.fields.{name}"[:120])
        return issues

    def run(self, step: Step) -> StepResult:
        values = self.values(step)
        entity = entities[values["model"]]
        record = writing.create_from_input(
            entity, all_as_data(values["fields"]), step.user, step.subject.batch.cache.lookups
        )
        warnings = [warning["message"] for warning in warnings_of_rules(record)]
        more = {"warnings": warnings} if warnings else {}
        return StepResult({"model": entity.name, "id": record.pk, **more})


def _missing(entity: Entity, fields: Mapping[str, Any]) -> list[str]:
    """The required fields that are not given, custom ones too."""
    custom_fields = fields.get("custom_fields")
    inside = [f"{PREFIX}{key}" for key in custom_fields] if isinstance(custom_fields, Mapping) else []
    given = {*fields, *inside}
    columns = [*entity.columns, *custom_columns(entity)]
    needed = [c for c in columns if c.required and c.default is None and not c.locked]
    return [c.name for c in needed if c.name not in given]


@register
class AddComment(Action):
    """Writes a comment on the record, by whom the workflow acts as."""

    name = "add_comment"
    params = (Param("body", Text(max_length=20_000, trim_whitespace=False), required=True),)
    needs_record = True
    help_text = "Comment on the record."

    def writes(self, entity: Entity | None, given: Mapping[str, Any]) -> tuple[str, ...]:
        return ("comments",)

    def run(self, step: Step) -> StepResult:
        if step.subject.batch.row(step.subject.pk) is None:
            raise NotVisibleError(_("The record is not there."))
        body = self.values(step)["body"]
        comment = mentions.create_comment(
            entity=step.run.entity, object_id=step.run.object_id, body=body, author=step.user
        )
        return StepResult({"comment_id": comment.pk})


class _Tags(RecordAction):
    """Base of adding and removing tags."""

    tags_type = TextList(child=Text(max_length=60))
    params = (Param("tag", tags_type, help_text="One tag or several."),)

    def values(self, step: Step) -> dict[str, Any]:
        given = step.given.get("tag")
        tags = given if isinstance(given, list) else [given]
        rendered = templating.value([t for t in tags if t not in (None, "")], step.subject.context)
        return {"tag": self.tags_type.to_internal_value(rendered)}

    def check(self, given: Mapping[str, Any], scope: Scope, path: str) -> list[FieldIssue]:
        listed = {
            **given,
            "tag": [given["tag"]] if isinstance(given.get("tag"), str) else given.get("tag"),
        }
        if not listed["tag"]:
            return [FieldIssue(f"{path}.tag", "required", _("This parameter is required."))]
        return super().check(listed, scope, path)

    def run(self, step: Step) -> StepResult:
        record = step.record
        tags = self.changed(list(record.tags), self.values(step)["tag"])
        writing.update_from_input(step.subject.entity, record, {"tags": tags}, step.user)
        return StepResult({"tags": tags})

    def changed(self, tags: list[str], given: list[str]) -> list[str]:
        return tags


@register
class AddTag(_Tags):
    """Adds tags to the record."""

    name = "add_tag"
    help_text = "Add tags to the record."

    def changed(self, tags: list[str], given: list[str]) -> list[str]:
        return tags + [tag for tag in given if tag not in tags]


@register
class RemoveTag(_Tags):
    """Takes tags off the record."""

    name = "remove_tag"
    help_text = "Remove tags from the record."

    def changed(self, tags: list[str], given: list[str]) -> list[str]:
        return [tag for tag in tags if tag not in given]
