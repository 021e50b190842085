"""Records as whoever reads them may see them, so that no list, page, panel or name can show more.

What is hidden from their role is blank on the instance. A record that they do not see, but that another one
refers to, is there by its id alone.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from django.db.models import Field, QuerySet
from django.db.models.query import ModelIterable

from core.entities.entity import Entity, entity_of
from core.models.record import Record

# Instances that are looked at together: what is asked of the database is asked once for so many.
BATCH = 500


def blanked(record: Any, entity: Entity) -> Any:
    """The instance without the values hidden from whom the entity is limited for. It is not to be saved."""
    for column in entity_of(entity.model).columns:
        if column.name in entity.hidden and column.expression is None:
            setattr(record, column.path, column.empty)
    if entity.hidden_keys:
        kept = {key: value for key, value in record.custom_fields.items() if key not in entity.hidden_keys}
        record.custom_fields = kept
    return record


def seen_by(user: Any, rows: Any) -> QuerySet:
    """Those of the rows of a record's model that the user sees, to be shown: without what is hidden."""
    return shown_to(user, rows.visible_to(user))


def shown_to(user: Any, rows: QuerySet) -> QuerySet:
    """Rows that the user sees: without what is hidden, of themselves and of the records selected along."""
    entity = entity_of(rows.model).for_user(user)

    def show(records: Sequence[Any]) -> None:
        if entity.hidden:
            for record in records:
                blanked(record, entity)
        show_related(records, user)

    return _passing(rows, show)


def with_related_shown(user: Any, rows: QuerySet) -> QuerySet:
    """Rows of any table, the records selected along with them as the user may see them."""
    return _passing(rows, lambda found: show_related(found, user))


def any_shown_to(user: Any, rows: QuerySet) -> QuerySet:
    """All of the rows, those that the user does not see by their ids alone: what a form has to choose from
    has to hold what is chosen already."""
    return _passing(rows, lambda records: _show(records, user))


def show_related(records: Sequence[Any], user: Any, *, fetch: bool = False) -> None:
    """Make the records that these refer to what the user may see of them: those read along with them or, to
    `fetch`, all. One statement for each kind, and none for a kind of which the user sees all."""
    by_model: dict[Any, list[Any]] = {}
    for field in _references(type(records[0])) if records else ():
        for record in records:
            found = getattr(record, field.name) if fetch or field.is_cached(record) else None
            if found is not None:
                by_model.setdefault(type(found), []).append(found)
    for found in by_model.values():
        _show(found, user)


def _references(model: Any) -> list[Any]:
    """The foreign keys that point at records."""
    fields: Sequence[Field] = model._meta.concrete_fields
    return [f for f in fields if f.is_relation and issubclass(f.related_model, Record)]  # type: ignore[arg-type]


def _show(records: Sequence[Any], user: Any) -> None:
    """Make records of one model, seen or not, what the user may see of them."""
    entity = entity_of(type(records[0])).for_user(user)
    reached = entity.visible_to(user).order_by()
    seen = None
    if reached.query.where:
        seen = set(reached.filter(pk__in={record.pk for record in records}).values_list("pk", flat=True))
    for record in records:
        if seen is not None and record.pk not in seen:
            _empty(record)
        elif entity.hidden:
            blanked(record, entity)


def _empty(record: Any) -> None:
    """Leave the id alone, by which the record is called then."""
    record.is_unseen = True
    for field in record._meta.concrete_fields:
        if not field.primary_key:
            setattr(record, field.attname, "" if field.generated else field.get_default())


def _passing(rows: QuerySet, work: Callable[[Sequence[Any]], None]) -> QuerySet:
    """The rows, whose instances pass through `work`, many at once, before anybody has them."""

    class Passing(ModelIterable):
        def __iter__(self) -> Iterator[Any]:
            found = super().__iter__()
            while batch := list(islice(found, BATCH)):
                work(batch)
                yield from batch

    passing = rows.all()
    passing._iterable_class = Passing  # kept by every copy of the queryset
    return passing
