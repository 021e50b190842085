"""What hangs on records: the live records of any entity that refer to them, counted before archiving."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count

from core.access import scopes
from core.entities import field_types
from core.entities.entity import Entity, entities


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
    found = []
    for other in entities:
        for column in other.columns:
            if (
                isinstance(column.field_type, field_types.Reference)
                and column.field_type.target == entity.name
            ):
                found.append(_counted(other, column.name, column.path, ids, user))
    return [one for one in found if one.count]


def _counted(other: Entity, field: str, path: str, ids: Sequence[int], user: Any) -> Dependents:
    rows = other.model.objects.filter(archived_at=None, **{f"{path}__in": ids})
    scope = other.model.policy.scope(user)
    counted = rows.aggregate(whole=Count("pk"), seen=Count("pk", filter=scope or None))
    seen = counted["seen"] if scopes.covers(user, other.plural) else 0
    return Dependents(other.name, field, counted["whole"], counted["whole"] - seen)
