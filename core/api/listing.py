"""What a list request asks for: filters, search, ordering, columns; the same for lists, exports and bulk."""

from functools import partial

from django.db.models import QuerySet
from rest_framework.request import Request

from core.access import Permission
from core.api import paging, walking
from core.conditions.listings import Listing, archived, listing_of, names_in
from core.conf import reading_database
from core.entities import Entity
from core.entities.reading import Reader
from core.errors import InvalidError


def listing(
    entity: Entity, request: Request, action: str = Permission.VIEW, reserved: frozenset[str] = frozenset()
) -> Listing:
    """The rows that `request` names and its user may do `action` on. Raises InvalidError."""
    return listing_of(entity, single_valued(request), request.user, action, reserved)


def figures(entity: Entity, request: Request, reserved: frozenset[str] = frozenset()) -> QuerySet:
    """The rows that `request` names, for statistics: read from the replica where there is one."""
    return listing(entity, request, reserved=reserved).rows.using(reading_database())


def page(found: Listing, request: Request) -> paging.Page:
    """The asked-for page of a listing, by number or by cursor."""
    reader = Reader(found.entity, fields=found.fields, expand=found.expand)
    if "cursor" not in request.query_params:
        read = partial(reader.documents, user=request.user)
        return paging.numbered_ids(request, found, read)
    if "page" in request.query_params:
        raise InvalidError.of("page", "A walk by cursor has no page numbers.")
    return walking.page(request, found.rows, found.orders, lambda ids: reader.documents(ids, request.user))


def single_valued(request: Request) -> dict[str, str]:
    """Query parameters as one string each; a repeated one (`?status=a&status=b`) means any of these."""
    return {key: ",".join(values) for key, values in request.query_params.lists()}


def wants_archived(request: Request) -> bool:
    """Whether the request names archived records."""
    return archived(single_valued(request)) == {"archived_at__isnull": False}


def shape(params: dict[str, str]) -> dict[str, list[str]]:
    """The `fields` and `expand` that single records are shown with."""
    return {"fields": names_in(params, "fields"), "expand": names_in(params, "expand")}
