"""What a list's parameters ask for: filters, search, ordering, columns; the same for lists, exports, bulk."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson
from django.db.models import Q, QuerySet

from core.access import Permission
from core.conditions.compiling import record_q
from core.conditions.grammar import parse
from core.conditions.models import SavedView
from core.conditions.narrowing import narrowing_q
from core.conditions.query import filters_of
from core.entities import Entity, field_types
from core.entities.finding import Order, ordering, search
from core.errors import InvalidError, ValueRefusedError

RESERVED = {
    "page", "page_size", "cursor", "search", "ordering", "fields", "expand", "archived", "view", "conditions",
    "format",
}  # fmt: skip
MAX_CONDITIONS = 20_000


@dataclass(frozen=True)
class Listing:
    """An entity's rows as a request's parameters ask for them.

    `asked` are everyone's; `scope` is what this user sees of them, the union of `parts`.
    """

    entity: Entity
    asked: QuerySet
    scope: Q
    parts: list[Q]
    orders: list[Order]
    fields: list[str]
    expand: list[str]
    # Whether words are looked for: what the index of words finds is few, and sorted faster than walked to.
    searched: bool = False

    @cached_property
    def rows(self) -> QuerySet:
        return self.asked.filter(self.scope)

    @property
    def branches(self) -> list[QuerySet]:
        """Querysets whose union `rows` is."""
        return [self.rows] if len(self.parts) == 1 else [self.asked.filter(part) for part in self.parts]

    def ordered(self) -> QuerySet:
        return self.rows.order_by(*(order.by() for order in self.orders))


def listing_of(
    entity: Entity,
    params: Mapping[str, str],
    user: Any,
    action: str = Permission.VIEW,
    reserved: frozenset[str] = frozenset(),
) -> Listing:
    """The rows that a list's parameters name and `user` may do `action` on. Raises InvalidError.

    `reserved` parameters mean something else to the caller and are no filters.
    """
    view = _saved_view(entity, params, user)
    rows = entity.model.objects.filter(**archived(params))
    own = {k: v for k, v in params.items() if k not in RESERVED and k not in reserved}
    rows = rows.filter(filters_of(entity, own, user))
    asked = {"conditions": _conditions(params), "view": view and view.conditions}
    for name, condition in asked.items():
        if condition is not None:
            parsed = parse(entity, condition, name=name)
            rows = rows.filter(record_q(parsed), narrowing_q(entity, parsed))
    texts = [text for text in (params.get("search"), view and view.search) if text]
    for text in texts:
        rows = search(entity, rows, text)
    orders = ordering(entity, params.get("ordering") or (view.ordering if view else ""))
    fields = names_in(params, "fields", view and view.fields)
    policy = entity.model.policy
    scope, parts = policy.scope(user, action), policy.branches(user, action)
    return Listing(entity, rows, scope, parts, orders, fields, names_in(params, "expand"), bool(texts))


def archived(params: Mapping[str, str]) -> dict[str, Any]:
    """`archived=true` shows what was archived instead of what was not; `any` shows both."""
    text = params.get("archived", "false")
    if text == "any":
        return {}
    try:
        return {"archived_at__isnull": not field_types.Boolean().to_internal_value(text)}
    except ValueRefusedError as error:
        raise InvalidError.of("archived", "Expected true, false or any.") from error


def names_in(params: Mapping[str, str], key: str, default: Any = None) -> list[str]:
    """The names in a parameter, separated by commas."""
    given = [name for name in params.get(key, "").split(",") if name]
    return given or list(default or [])


def _conditions(params: Mapping[str, str]) -> Any:
    """The `conditions` parameter: a condition tree as JSON; None when it is not given."""
    text = params.get("conditions")
    if text is None:
        return None
    try:
        if len(text) > MAX_CONDITIONS or (found := orjson.loads(text)) is None:
            raise ValueError
        return found
    except ValueError:
        raise InvalidError.of("conditions", "Expected a condition as JSON.") from None


def _saved_view(entity: Entity, params: Mapping[str, str], user: Any) -> SavedView | None:
    text = params.get("view")
    if not text:
        return None
    rows = SavedView.objects.visible_to(user).filter(entity=entity.name)
    found = (
        rows.filter(pk=int(text)).first() if text.isascii() and text.isdigit() and len(text) < 19 else None
    )
    if found is None:
        raise InvalidError.of("view", "There is no such saved view.")
    return found
