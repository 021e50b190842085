"""Rules for rows of files, which run before the entity's own: they fill in what other systems leave out."""

from core.entities.entity import Rule
from core.registry import Registry

import_rules: Registry[tuple[Rule, ...]] = Registry("rules of imported rows")
