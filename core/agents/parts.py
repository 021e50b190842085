"""What a session did to parts of records, and taking it back: further records of tasks, contacts of deals.

The columns that are unique within a record say which of its parts one is (its key). What the session did to
it is what its row held before the session and what it held after it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db.models import ForeignKey, UniqueConstraint

from core.access import Permission
from core.agents import undo_queries
from core.changes.models import Change
from core.entities import references
from core.models import capture

Values = dict[str, Any]


@dataclass
class PartEffect:
    """A part of the record `pk` before the session and as the session left it; None where there was none."""

    entity: str
    pk: int
    key: Values
    old: Values | None
    new: Values | None


def part_effects(changes: Iterable[Change]) -> list[PartEffect]:
    """What changes of parts, in their order, come to for each part. What somebody else made of a part between
    two of them is what it was before."""
    found: dict[tuple[Any, ...], PartEffect] = {}
    for change in changes:
        for key, old, new in _by_key(change):
            name = (change.entity, change.object_id, *key.values())
            effect = found.setdefault(name, PartEffect(change.entity, change.object_id, key, old, old))
            if effect.new != old:
                effect.old = old
            effect.new = new
    return [effect for effect in found.values() if effect.old != effect.new]


def _by_key(change: Change) -> Iterator[tuple[Values, Values | None, Values | None]]:
    """The key, old and new values of each part that the change is of: two where a row became another part."""
    names = key_columns(change.entity)
    old, new = (_values(change, place) for place in (0, 1))
    keys = [{name: values.get(name) for name in names} for values in (old, new)]
    if keys[0] == keys[1]:
        yield keys[0], old, new
        return
    if old:
        yield keys[0], old, None
    if new:
        yield keys[1], None, new


def _values(change: Change, place: int) -> Values:
    """The values of the row before (0) or after the change (1), empty where there was no row."""
    return {name: pair[place] for name, pair in change.changes.items() if pair[place] is not None}


def model_of(entity: str) -> Any:
    return apps.get_model(capture.PARTS[entity].model)


def holder_of(entity: str) -> Any:
    """The model of the records that such parts belong to; None where that is not one alone."""
    field = _record_field(entity)
    return field.related_model if isinstance(field, ForeignKey) else None


def _record_field(entity: str) -> Any:
    record = capture.PARTS[entity].record
    return next(f for f in model_of(entity)._meta.concrete_fields if f.attname == record)


def key_columns(entity: str) -> list[str]:
    """The columns that tell a part from the others of its record."""
    meta, record = model_of(entity)._meta, _record_field(entity).name
    unique = [c.fields for c in meta.constraints if isinstance(c, UniqueConstraint) and record in c.fields]
    names = {name for fields in unique for name in fields} - {record}
    return sorted(meta.get_field(name).attname for name in names)


def is_reachable(effect: PartEffect, user: Any) -> bool:
    """Whether the user may change the record and sees what the part refers to."""
    holders = holder_of(effect.entity)
    if not holders._base_manager.filter(holders.policy.scope(user, Permission.CHANGE), pk=effect.pk).exists():
        return False
    if "entity" in effect.key:
        return references.seen(effect.key["entity"], user).filter(pk=effect.key["object_id"]).exists()
    fields = {f.attname: f for f in model_of(effect.entity)._meta.concrete_fields}
    return all(
        fields[name].related_model.objects.visible_to(user).filter(pk=pk).exists()
        for name, pk in effect.key.items()
    )


def record_of(effect: PartEffect) -> tuple[str, int] | None:
    """The record that a further record is, as (entity name, id)."""
    return (effect.key["entity"], effect.key["object_id"]) if "entity" in effect.key else None


def present(effect: PartEffect) -> Values | None:
    """The part's values as they are, under its row's lock; None where there is none."""
    row = _rows(effect).select_for_update(of=("self",)).first()
    if row is None:
        return None
    values = undo_queries.present(undo_queries.table_of(row), row.pk)
    left_out = capture.PARTS[effect.entity].untracked
    return {name: value for name, value in values.items() if name not in left_out and value is not None}


def _rows(effect: PartEffect) -> Any:
    record = {capture.PARTS[effect.entity].record: effect.pk}
    return model_of(effect.entity)._base_manager.filter(**record, **effect.key)


def restore(effect: PartEffect) -> None:
    """Make the part what it was before the session."""
    if effect.old is None:
        _rows(effect).delete()
    elif effect.new is None:
        record = {capture.PARTS[effect.entity].record: effect.pk}
        model_of(effect.entity)._base_manager.create(**record, **effect.old)
    else:
        _rows(effect).update(**{name: effect.old.get(name) for name in {*effect.old, *effect.new}})
