"""What hangs on records: the live records of any entity that refer to them, counted before archiving."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q

from core.access import scopes
from core.entities import field_types
from core.entities.entity import Entity, entities
from core.registry import Registry


@dataclass(frozen=True)
class FurtherReference:
    """Records of `entity` that refer to others by a table between them: `condition` finds those that refer to
    any of some ids of `target`. `field` is what the API calls it."""

    entity: str
    field: str
    target: str
    condition: Callable[[Sequence[int]], Q]


# What refers to records without a column of its own.
further_references: Registry[FurtherReference] = Registry("further reference")


@dataclass(frozen=True)
class Dependents:
    """How many records of an entity name the asked-for ones in a field, and how many of them the user does
    not see."""

    type: str
    field: str
    count: int
    hidden: int


def dependents(entity: Entity, ids: Sequence[int], user: Any) -> list[Dependents]:
    """Those of each entity and field that has any; one statement for each reference to the entity."""
    found = [
        _counted(entities[one.entity], one.field, one.condition(ids), user)
        for one in further_references
        if one.target == entity.name
    ]
    for other in entities:
        for column in other.columns:
            if (
                isinstance(column.field_type, field_types.Reference)
                and column.field_type.target == entity.name
            ):
                found.append(_counted(other, column.name, Q(**{f"{column.path}__in": ids}), user))
    return [one for one in found if one.count]


def _counted(other: Entity, field: str, condition: Q, user: Any) -> Dependents:
    rows = other.model.objects.filter(condition, archived_at=None)
    scope = other.model.policy.scope(user)
    counted = rows.aggregate(whole=Count("pk"), seen=Count("pk", filter=scope or None))
    seen = counted["seen"] if scopes.covers(user, other.plural) else 0
    return Dependents(other.name, field, counted["whole"], counted["whole"] - seen)
