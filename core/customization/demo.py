"""Custom fields and shared views for the demo data of an entity, whose app says which."""

from collections.abc import Sequence
from typing import Any

from core.conditions.models import SavedView
from core.demo.parts import Demo
from core.entities.models import CustomField


def add_custom_field(entity: str, key: str, label: str, kind: str, choices: Sequence[str] = ()) -> None:
    """A custom field, where there is none of this key yet."""
    defaults = {"label": label, "type": kind, "choices": list(choices)}
    CustomField.objects.get_or_create(entity=entity, key=key, defaults=defaults)


def add_shared_view(demo: Demo, entity: str, name: str, conditions: dict[str, Any], ordering: str) -> None:
    """A view of the first manager that everybody sees."""
    SavedView.objects.get_or_create(
        owner=demo.users["manager"][0],
        entity=entity,
        name=name,
        defaults={"conditions": conditions, "ordering": ordering, "is_shared": True},
    )
