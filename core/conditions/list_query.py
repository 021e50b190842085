"""What a list's parameters ask for: filters, search, ordering, fields; the same for lists and exports."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from core.access import Permission
from core.conditions.filters import EntityFilterSet, filterset_of
from core.entities import Entity
from core.entities.finding import Order, ordering, search

# Parameters of a list that are no filters.
PARAMETERS = frozenset(("page", "page_size", "cursor", "search", "ordering", "fields", "expand", "format"))
Params = Mapping[str, Any]


@dataclass(frozen=True)
class ListQuery:
    """An entity's rows as a list's parameters ask for them, and which of their fields are wanted."""

    entity: Entity
    rows: QuerySet
    orders: list[Order]
    fields: list[str]
    expand: list[str]

    def ordered(self) -> QuerySet:
        return self.rows.order_by(*(order.by() for order in self.orders))


def list_query(
    entity: Entity,
    params: Params,
    user: Any,
    action: str = Permission.VIEW,
    ignored: Collection[str] = (),
) -> ListQuery:
    """The rows that a list's parameters name and `user` may do `action` on. Raises InvalidError.

    `ignored` parameters mean something else to the caller and are no filters.
    """
    asked = filterset_of(entity)(params, user=user, ignored={*PARAMETERS, *ignored})
    rows: Any = searched(asked, asked.checked, entity.search_fields)
    return ListQuery(
        asked.entity,
        rows.visible_to(user, action),
        orders_of(asked),
        sparse_fields(params, asked),
        names_in(params, "expand"),
    )


def searched(asked: EntityFilterSet, rows: QuerySet, search_fields: Sequence[str]) -> QuerySet:
    """Those of the rows that the search, and that of a saved view, find."""
    for text in search_texts(asked):
        rows = search(asked.entity, rows, text, search_fields)
    return rows


def search_texts(asked: EntityFilterSet) -> list[str]:
    view = asked.saved_view
    return [text for text in (joined(asked.data, "search"), view and view.search) if text]


def is_narrowed(asked: EntityFilterSet) -> bool:
    """Whether filters, those of a saved view or a search leave a part of the rows."""
    return bool(asked.form.fields or search_texts(asked))


def orders_of(asked: EntityFilterSet, allowed: Collection[str] | None = None) -> list[Order]:
    """The ordering asked for, a saved view's, or the entity's own. Raises InvalidError."""
    view = asked.saved_view
    return ordering(asked.entity, joined(asked.data, "ordering") or (view.ordering if view else ""), allowed)


def sparse_fields(params: Params, asked: EntityFilterSet) -> list[str]:
    """The fields asked for, or those of a saved view that who asks may see, the id where that is none of
    them; none stands for all."""
    view = asked.saved_view
    hidden = asked.entity.hidden
    named = view.fields if view else []
    shown = [name for name in named if name not in hidden]
    return names_in(params, "fields") or shown or (["id"] if named else [])


def names_in(params: Params, key: str) -> list[str]:
    """The names in a parameter, separated by commas."""
    return [name for name in joined(params, key).split(",") if name]


def joined(params: Params, key: str) -> str:
    """A parameter's values, which may be given one by one, as one text."""
    value = params.getlist(key) if hasattr(params, "getlist") else params.get(key, "")
    return ",".join(value) if isinstance(value, list) else str(value)
