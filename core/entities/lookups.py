"""What writing many records in one transaction need look up only once."""

from collections.abc import Iterable
from typing import Any

from core.entities import custom
from core.entities.entity import Entity
from core.entities.models import CustomField
from core.entities.references import existing_ids


class Lookups:
    """Answers for one writer, kept as long as this object: one transaction at most.

    Whoever knows what will be asked says so beforehand, for many records at once.
    """

    def __init__(self, user: Any) -> None:
        self.user = user
        self._definitions: dict[str, list[CustomField]] = {}
        self._referable: dict[str, dict[int, bool]] = {}

    def definitions(self, entity: Entity) -> list[CustomField]:
        """The custom fields of an entity, in their order, those hidden from the writer too."""
        if entity.name not in self._definitions:
            self._definitions[entity.name] = custom.all_definitions(entity)
        return self._definitions[entity.name]

    def find(self, target: str, ids: Iterable[int]) -> None:
        """Ask which of `ids` may be pointed at, in one query for those that are new."""
        known = self._referable.setdefault(target, {})
        new = set(ids) - known.keys()
        if new:
            existing = existing_ids(target, new, self.user)
            known.update({pk: pk in existing for pk in new})

    def may_refer(self, target: str, pk: int) -> bool:
        """Whether the writer may point at this record (or user, pipeline …)."""
        self.find(target, [pk])
        return self._referable[target][pk]
