"""What AI clients may look up about the CRM itself: schemas of entities, and how conditions are written."""

import re
from collections.abc import Iterator
from typing import Any

from core.access import scopes
from core.agents.tools import all_tools
from core.api.schema.parts import Schema, of_column
from core.entities import Entity, entities
from core.entities.custom import schema

CONDITIONS = "crm://guide/conditions"
_SCHEMA = re.compile(r"crm://schema/([a-z_]+)\Z")
_RECORD = re.compile(r"crm://([a-z_]+)/([0-9]{1,18})\Z", re.ASCII)
# The condition language in short; docs/api.md has it whole.
LANGUAGE = {
    "one": {"field": "status", "op": "eq", "value": "new"},
    "several": {"all": ["… conditions that must all hold"]},
    "any": {"any": ["… conditions of which one must hold"]},
    "not": {"not": "… a condition"},
    "relative_dates": 'A date may be {"days": -7}, from today on, where its operator takes a date.',
    "operators": "Those of each field stand in crm://schema/<entity> under `operators`.",
}


def is_covered(user: Any, entity: Entity) -> bool:
    return scopes.covers(user, entity.plural)


def listed(user: Any) -> Iterator[tuple[str, str, str]]:
    """Address, name and description of what there is for the user."""
    yield CONDITIONS, "conditions", "How conditions are written."
    for entity in entities:
        if is_covered(user, entity):
            about = (
                f"The fields of {entity.plural}, their types and operators; what creating and changing takes."
            )
            yield f"crm://schema/{entity.plural}", f"schema of {entity.plural}", about


def document(user: Any, uri: str) -> dict[str, Any] | None:
    """What is at the address; None where it is none of these."""
    if uri == CONDITIONS:
        return LANGUAGE
    found = _SCHEMA.match(uri)
    entity = _by_plural(found[1]) if found else None
    if entity is None or not is_covered(user, entity):
        return None
    return described(entity.for_user(user))


def described(entity: Entity) -> dict[str, Any]:
    """The fields of an entity, custom ones included, and the schemas of the tools that write it."""
    columns = schema(entity)
    fields: dict[str, Schema] = {
        name: of_column(column)
        | {"operators": sorted(column.field_type.operators), "writable": column.writable}
        for name, column in columns.items()
    }
    taken = {verb: all_tools()[f"{verb}_{entity.name}"].input_schema() for verb in ("create", "update")}
    return {"entity": entity.name, "fields": fields, **taken}


def record_in(uri: str) -> tuple[Entity, int] | None:
    """The record that an address names."""
    found = _RECORD.match(uri)
    entity = _by_plural(found[1]) if found else None
    return (entity, int(found[2])) if found and entity is not None else None


def _by_plural(plural: str) -> Entity | None:
    return next((entity for entity in entities if entity.plural == plural), None)
