"""What a list request asks for: filters, search, ordering, columns; the same for lists, exports and bulk."""

from dataclasses import dataclass
from typing import Any

import orjson
from django.db.models import QuerySet
from rest_framework.request import Request

from core.access import Action
from core.api import paging
from core.conditions import filters_of, parse, record_q
from core.conf import reading_database
from core.entities import Entity, kinds
from core.entities.finding import Order, ordering, search
from core.entities.reading import Reader
from core.errors import InvalidError, ValueRefusedError
from core.models import SavedView

RESERVED = {
    "page", "page_size", "cursor", "search", "ordering", "fields", "expand", "archived", "view", "conditions",
    "format",
}  # fmt: skip
MAX_CONDITIONS = 20_000


@dataclass(frozen=True)
class Listing:
    """An entity's rows as a request's parameters ask for them."""

    entity: Entity
    rows: QuerySet
    orders: list[Order]
    fields: list[str]
    expand: list[str]
    # Querysets whose union `rows` is.
    branches: list[QuerySet]

    def ordered(self) -> QuerySet:
        return self.rows.order_by(*(order.by() for order in self.orders))


def listing(
    entity: Entity, request: Request, action: str = Action.VIEW, reserved: frozenset[str] = frozenset()
) -> Listing:
    """The rows that `request` names and its user may do `action` on. Raises InvalidError."""
    params = single_valued(request)
    view = _saved_view(entity, params, request.user)
    rows = entity.model.objects.filter(**archived(params))
    own = {k: v for k, v in params.items() if k not in RESERVED and k not in reserved}
    rows = rows.filter(filters_of(entity, own, request.user))
    for condition in (_conditions(params), view and view.conditions):
        if condition:
            rows = rows.filter(record_q(parse(entity, condition)))
    for text in (params.get("search"), view and view.search):
        if text:
            rows = search(entity, rows, text)
    orders = ordering(entity, params.get("ordering") or (view.ordering if view else ""))
    fields = _names(params, "fields", view and view.fields)
    policy = entity.model.policy
    branches = [rows.filter(part) for part in policy.branches(request.user, action)]
    rows = rows.filter(policy.scope(request.user, action))
    return Listing(entity, rows, orders, fields, _names(params, "expand"), branches)


def figures(entity: Entity, request: Request, reserved: frozenset[str] = frozenset()) -> QuerySet:
    """The rows that `request` names, for statistics: read from the replica where there is one."""
    return listing(entity, request, reserved=reserved).rows.using(reading_database())


def page(found: Listing, request: Request) -> paging.Page:
    """The asked-for page of a listing, by number or by cursor."""
    reader = Reader(found.entity, fields=found.fields, expand=found.expand)
    if "cursor" not in request.query_params:
        return paging.numbered(
            request,
            found.ordered().values_list("pk", flat=True),
            lambda ids: reader.documents(ids, request.user),
            found.branches,
        )
    rows, size = paging.walk(request, found.ordered(), found.orders)
    keys = [f"_k{i}" for i in range(len(found.orders))]
    tuples = list(rows.values_list("pk", *keys)[: size + 1])
    shown = reader.documents([t[0] for t in tuples[:size]], request.user)
    last = tuples[size - 1][1:] if len(tuples) > size else None
    return paging.cursor_page(request, shown, last)


def single_valued(request: Request) -> dict[str, str]:
    """Query parameters as one string each; a repeated one (`?status=a&status=b`) means any of these."""
    return {key: ",".join(values) for key, values in request.query_params.lists()}


def archived(params: dict[str, str]) -> dict[str, Any]:
    """`archived=true` shows what was archived instead of what was not; `any` shows both."""
    text = params.get("archived", "false")
    if text == "any":
        return {}
    try:
        return {"archived_at__isnull": not kinds.Boolean().clean(text)}
    except ValueRefusedError as error:
        raise InvalidError.of("archived", "Expected true, false or any.") from error


def wants_archived(request: Request) -> bool:
    """Whether the request names archived records."""
    return archived(single_valued(request)) == {"archived_at__isnull": False}


def shape(params: dict[str, str]) -> dict[str, list[str]]:
    """The `fields` and `expand` that single records are shown with."""
    return {"fields": _names(params, "fields"), "expand": _names(params, "expand")}


def _names(params: dict[str, str], key: str, default: Any = None) -> list[str]:
    given = [name for name in params.get(key, "").split(",") if name]
    return given or list(default or [])


def _conditions(params: dict[str, str]) -> Any:
    """The `conditions` parameter: a condition tree as JSON."""
    text = params.get("conditions")
    if not text:
        return None
    try:
        if len(text) > MAX_CONDITIONS:
            raise ValueError
        return orjson.loads(text)
    except ValueError:
        raise InvalidError.of("conditions", "Expected a condition as JSON.") from None


def _saved_view(entity: Entity, params: dict[str, str], user: Any) -> SavedView | None:
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
