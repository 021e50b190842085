"""Naming records that may be the same as a new one."""

from typing import Any

from django.db.models import Q

from core.entities.entity import Entity
from core.entities.reading import title_of
from core.errors import ConflictError, InvalidError

NAMED = 5
NOBODY = Q(pk__in=[])


def possible_duplicates(entity: Entity, values: dict[str, Any], user: Any) -> list[dict[str, Any]] | None:
    """Up to five visible records that may be the same, as `{id, name}`; None where nobody asks for it."""
    if entity.duplicates is None:
        return None
    condition = entity.duplicates(values)
    if not condition:
        return []
    rows = entity.visible_to(user).filter(archived_at=None).filter(condition).order_by("id")
    paths = dict.fromkeys(("id", *entity.display_columns))
    return [{"id": r["id"], "name": title_of(entity, r)} for r in rows.values(*paths)[:NAMED]]


def refuse_duplicates(on_duplicate: str, found: list[dict[str, Any]] | None) -> None:
    """Obey `on_duplicate`: "reject" raises ConflictError when there are any, "create" (default) goes on."""
    if on_duplicate not in ("", "create", "reject"):
        raise InvalidError.of("on_duplicate", "Expected create or reject.")
    if on_duplicate == "reject" and found:
        names = ", ".join(f"{twin['name']} ({twin['id']})" for twin in found)
        raise ConflictError(f"Possible duplicates: {names}.", code="possible_duplicate")
