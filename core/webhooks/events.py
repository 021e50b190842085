"""Events by name: `lead.created`, `lead.status_changed`, `opportunity.won`.

Every entity has created, updated, archived, restored, deleted, and `<field>_changed` for each of its fields;
apps register further events.
"""

from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from core.changes.models import Change
from core.conditions import change_q, parse
from core.entities import Entity, entities
from core.errors import InvalidError
from core.registry import Registry

ANY = "*"
CHANGED = "_changed"
TEST = "webhook.test"


@dataclass(frozen=True)
class NamedEvent:
    """An event with a name of its own: a condition on changes of an entity."""

    name: str
    condition: Any


named: Registry[NamedEvent] = Registry("event")


def register(name: str, condition: Any) -> NamedEvent:
    """`name` is `<entity>.<what>`; `condition` is in the condition language, changes included."""
    return named.register(name, NamedEvent(name, condition))


def entity_of_event(name: str, user: Any) -> Entity:
    """The entity an event is about, as `user` knows it. Raises InvalidError for an event there is not, as one
    of a field that is hidden from them."""
    entity = entities.get(name.partition(".")[0])
    entity = entity and entity.for_user(user)
    if entity is None or not _exists(entity, name):
        raise InvalidError.of(
            "events", _("Unknown event %(name)s.") % {"name": repr(name[:80])}, "unknown_event"
        )
    return entity


def is_heard(entity: Entity, name: str) -> bool:
    """Whether an event is one of this entity, for whom the entity is limited for."""
    return name.partition(".")[0] == entity.name and _exists(entity, name)


def _exists(entity: Entity, name: str) -> bool:
    what = name.partition(".")[2]
    field = what.removesuffix(CHANGED)
    changed = what.endswith(CHANGED) and field in entity.by_name and entity.by_name[field].expression is None
    return name in named or what == ANY or what in Change.Kind.values or changed


def known() -> list[str]:
    """The events there are, without those of single fields."""
    own = [f"{entity.name}.{kind}" for entity in entities for kind in Change.Kind.values]
    fields = [
        f"{e.name}.{c}{CHANGED}"
        for e in entities
        for c in ("status", "stage", "assigned_to")
        if c in e.by_name
    ]
    return sorted({*own, *fields, *named.keys()})


def changes_q(entity: Entity, name: str) -> Q:
    """The rows of the change table that are an event."""
    what = name.partition(".")[2]
    if name in named:
        return Q(kind="updated") & change_q(
            entity, parse(entity, named[name].condition, changes=True), user=None
        )
    if what == ANY:
        return Q(kind__in=Change.Kind.values)
    if what in Change.Kind.values:
        return Q(kind=what)
    # Not by the condition language, which leaves out fields that lists cannot filter by.
    return Q(kind="updated", changes__has_key=entity.by_name[what.removesuffix(CHANGED)].path)
