"""Records as whoever reads them may see them: what is hidden from their role is blank on the instance, so
that no list, page, panel or name can show it."""

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet
from django.db.models.query import ModelIterable

from core.entities.entity import Entity, entity_of


def blanked(record: Any, entity: Entity) -> Any:
    """The instance without the values hidden from whom the entity is limited for. It is not to be saved."""
    for column in entity_of(entity.model).columns:
        if column.name in entity.hidden and column.expression is None:
            setattr(record, column.path, column.empty)
    if entity.hidden_keys:
        kept = {key: value for key, value in record.custom_fields.items() if key not in entity.hidden_keys}
        record.custom_fields = kept
    return record


def blanking(rows: QuerySet, entity: Entity) -> QuerySet:
    """The rows, whose instances come without what is hidden."""
    if not entity.hidden:
        return rows

    class Blanked(ModelIterable):
        def __iter__(self) -> Iterator[Any]:
            return (blanked(record, entity) for record in super().__iter__())

    found = rows.all()
    found._iterable_class = Blanked  # kept by every copy of the queryset
    return found


def seen_by(user: Any, rows: Any) -> Any:
    """Those of the rows of a record's model that the user sees, to be shown: without what is hidden."""
    return blanking(rows.visible_to(user), entity_of(rows.model).for_user(user))
