"""What a reference may point at, which of given ids a user may point at, and what is known of it."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import QuerySet

from core.entities.columns import Column
from core.entities.custom import schema
from core.entities.entity import entities
from core.entities.field_rights import FieldRights
from core.registry import Registry

# Things referred to that are no entities (users, teams, pipelines): name → model with a `policy`.
targets: Registry[Any] = Registry("reference target")
# What conditions may ask of these: name → columns by name. What not everyone may know is not among them.
target_columns: Registry[Mapping[str, Column]] = Registry("columns of a reference target")


def register_target(name: str, model: Any, *columns: Column) -> None:
    """Let references point at rows of a model that is no entity, and conditions look at these columns."""
    targets.register(name, model)
    target_columns.register(name, {column.name: column for column in columns})


def target_model(name: str) -> Any:
    """The model a Reference kind's `target` names."""
    entity = entities.get(name)
    return entity.model if entity else targets[name]


def columns_of_target(name: str, asked: str = "", rights: FieldRights | None = None) -> Mapping[str, Column]:
    """The columns of what a Reference kind's `target` names, as these rights leave them; custom ones only
    where `asked` is one's name."""
    entity = entities.get(name)
    if entity is None:
        return target_columns[name]
    return schema(entity.limited(rights) if rights else entity, names=[asked])


def referable(name: str, user: Any) -> QuerySet:
    """The rows `user` may point at: visible, not archived, and of users the active ones.

    Without a user (the system itself writes) every such row.
    """
    rows = seen(name, user)
    if name in entities:
        return rows.filter(archived_at=None)
    return rows.filter(is_active=True) if hasattr(rows.model, "is_active") else rows


def seen(name: str, user: Any) -> QuerySet:
    """The rows of a target that `user` sees; the system (None) sees all."""
    model = target_model(name)
    return model.objects.all() if user is None else model.objects.visible_to(user)


def existing_ids(name: str, ids: Iterable[int], user: Any) -> set[int]:
    """Those of `ids` that `user` may point at, in one query."""
    return set(referable(name, user).filter(pk__in=set(ids)).order_by().values_list("pk", flat=True))
