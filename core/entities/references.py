"""What a reference may point at, and which of given ids a user may point at."""

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet

from core.entities.entity import entities
from core.registry import Registry

# Things referred to that are no entities (users, teams, pipelines): name → model with a `policy`.
targets: Registry[Any] = Registry("reference target")


def target_model(name: str) -> Any:
    """The model a Reference kind's `target` names."""
    entity = entities.get(name)
    return entity.model if entity else targets[name]


def referable(name: str, user: Any) -> QuerySet:
    """The rows `user` may point at: visible, not archived, and of users the active ones.

    Without a user (the system itself writes) every such row.
    """
    model = target_model(name)
    rows = model.objects.all() if user is None else model.objects.visible_to(user)
    if name in entities:
        return rows.filter(archived_at=None)
    return rows.filter(is_active=True) if hasattr(model, "is_active") else rows


def existing_ids(name: str, ids: Iterable[int], user: Any) -> set[int]:
    """Those of `ids` that `user` may point at, in one query."""
    return set(referable(name, user).filter(pk__in=set(ids)).order_by().values_list("pk", flat=True))
