"""The ordering of a list that is no entity's; what is unknown is a 400."""

from collections.abc import Sequence
from typing import Any

from django.db.models import F, QuerySet
from rest_framework.request import Request

from core.entities.columns import column
from core.errors import InvalidError
from core.models.folding import Fold


def ordered(request: Request, rows: QuerySet, orderings: Sequence[str]) -> QuerySet:
    """The rows in the order that `ordering` asks for, made unique by the id; in their own without it.

    Empty values come last in either direction. Raises InvalidError for what is not in `orderings`.
    """
    if "ordering" not in request.query_params:
        return rows
    names = ",".join(request.query_params.getlist("ordering")).split(",")
    orders = [_order(rows.model, name.strip(), orderings) for name in names]
    return rows.order_by(*orders, "-id" if names[0].strip().startswith("-") else "id")


def _order(model: Any, name: str, orderings: Sequence[str]) -> Any:
    plain = name.removeprefix("-")
    if plain not in orderings:
        raise InvalidError.unknown("ordering", orderings, "unknown")
    found = column(model, plain)
    last = True if found.nullable else None
    key = Fold(F(found.path)) if found.folded else F(found.path)
    return key.desc(nulls_last=last) if name != plain else key.asc(nulls_last=last)
