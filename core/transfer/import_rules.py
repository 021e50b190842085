"""What holds for rows of files beyond an entity's own rules: what other systems leave unsaid."""

from core.entities import Entity
from core.entities.entity import Rule
from core.registry import Registry

import_rules: Registry[tuple[Rule, ...]] = Registry("rules of imported rows")


def rules_of(entity: Entity) -> tuple[Rule, ...]:
    """They run before the entity's own."""
    return import_rules.get(entity.name) or ()
