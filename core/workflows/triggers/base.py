"""Triggers by name, and those that are a change of a record."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from core.conditions import change_q, parse
from core.entities import Column, Entity
from core.entities.field_types import Text
from core.errors import FieldIssue, InvalidError
from core.registry import Registry
from core.workflows.params import Param

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Trigger:
    """Base: a name, the entities it makes sense for (all when empty) and the settings beside model and
    conditions that `trigger_conditions` may hold. Without `has_record` its runs are about no record: a model
    only narrows what starts them."""

    name: str
    entities: tuple[str, ...] = ()
    settings: tuple[Param, ...] = ()
    needs_entity: bool = True
    has_record: bool = True
    help_text: str = ""
    # What follows "When" in a sentence.
    when: str = ""

    # Whether a change of a record starts it, so that conditions may look at the change.
    on_changes = False

    def check(self, entity: Entity | None, settings: Settings) -> list[FieldIssue]:
        """Faults in the settings beyond those of their field types, under names without path."""
        return []


@dataclass(frozen=True)
class ChangeTrigger(Trigger):
    """Started by changes of some kinds; `narrow` makes the condition on them from the settings."""

    kinds: tuple[str, ...] = ("updated",)
    narrow: Callable[[Entity, Settings], Q] | None = None

    on_changes = True

    def fits(self, entity: Entity, settings: Settings) -> bool:
        """Whether changes of this entity can start it."""
        return (not self.entities or entity.name in self.entities) and not self.check(entity, settings)

    def q(self, entity: Entity, settings: Settings) -> Q:
        """The rows of the change table that start a run."""
        found = Q(kind=self.kinds[0]) if len(self.kinds) == 1 else Q(kind__in=self.kinds)
        return found & self.narrow(entity, settings) if self.narrow else found

    def check(self, entity: Entity | None, settings: Settings) -> list[FieldIssue]:
        if entity is None or self.narrow is None:
            return []
        try:
            self.narrow(entity, settings)
        except InvalidError as error:
            return [FieldIssue(_last(i.field), i.code, i.message) for i in error.issues]
        return []


def _last(path: str) -> str:
    """The issue's own place: of a made-up condition only the field is the user's."""
    return "field" if path.startswith("conditions") else path


triggers: Registry[Trigger] = Registry("trigger")


def register(trigger: Trigger) -> Trigger:
    return triggers.register(trigger.name, trigger)


def _by_someone(entity: Entity, settings: Settings) -> Q:
    """Something a person can set was changed: what the system derives by itself (scores, counts) is no
    update, or a nightly scoring would start every workflow."""
    return Q(changes__has_any_keys=[c.path for c in entity.columns if _is_set_by_hand(c)])


def _is_set_by_hand(column: Column) -> bool:
    """By whomever: also what whom a workflow acts as may only read."""
    return (column.writable or column.locked) and column.expression is None


def _field_changed(entity: Entity, settings: Settings) -> Q:
    """The field changed, from and to the given values if they are given."""
    field = settings.get("field")
    leaves = [{"field": field, "op": "changed"}]
    if settings.get("from") not in (None, ""):
        leaves.append({"field": field, "op": "changed_from", "value": settings["from"]})
    if settings.get("to") not in (None, ""):
        leaves.append({"field": field, "op": "changed_to", "value": settings["to"]})
    return change_q(entity, parse(entity, {"all": leaves}, changes=True), user=None)


def changed(field: str) -> Callable[[Entity, Settings], Q]:
    """`field_changed` of one field."""

    def narrow(entity: Entity, settings: Settings) -> Q:
        return _field_changed(entity, {**settings, "field": field})

    return narrow


FROM_TO = (
    Param("from", template=False, help_text="Only from this value.", refers_to="value_of_field"),
    Param("to", template=False, help_text="Only to this value.", refers_to="value_of_field"),
)
FIELD = Param("field", Text(max_length=120), required=True, template=False, refers_to="field")

register(
    ChangeTrigger(
        "record_created", kinds=("created",), help_text="A record was created.", when="a record was created"
    )
)
register(
    ChangeTrigger(
        "record_updated",
        kinds=("updated",),
        narrow=_by_someone,
        help_text="A record was changed.",
        when="a record was changed",
    )
)
register(
    ChangeTrigger(
        "record_deleted",
        kinds=("archived", "deleted"),
        help_text="A record was archived or deleted.",
        when="a record was archived or deleted",
    )
)
register(
    ChangeTrigger(
        "record_restored",
        kinds=("restored",),
        help_text="A record was restored.",
        when="a record was restored",
    )
)
register(
    ChangeTrigger(
        "field_changed",
        settings=(FIELD, *FROM_TO),
        narrow=_field_changed,
        help_text="One field changed.",
        when="one field changed",
    )
)
register(
    ChangeTrigger(
        "status_changed",
        settings=FROM_TO,
        narrow=changed("status"),
        help_text="The status changed.",
        when="the status changed",
    )
)
