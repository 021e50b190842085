"""Pages by number, with counts that never cost more than their bound. See also cursor_pagination."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.counting import Count, count
from core.api.schema.lists import PAGE_PARAMETERS
from core.api.schema.parts import page_of
from core.conf import conf
from core.errors import InvalidError, NotVisibleError


@dataclass(frozen=True)
class Page:
    """One page of anything countable, and the addresses of its neighbours."""

    results: list[Any]
    next: str | None
    previous: str | None
    count: int | None
    count_estimated: bool = False

    def body(self) -> dict[str, Any]:
        estimated = {"count_estimated": True} if self.count_estimated else {}
        head = {"count": self.count, **estimated, "next": self.next, "previous": self.previous}
        return head | {"results": self.results}


def page_size(request: Request) -> int:
    """`page_size`, capped at the maximum. Raises InvalidError unless it is a whole number from 1."""
    size = _whole(request, "page_size", conf.PAGE_SIZE)
    return min(size, conf.MAX_PAGE_SIZE)


def _whole(request: Request, name: str, default: int) -> int:
    text = ",".join(request.query_params.getlist(name))
    if text == "":
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) < 1:
        raise InvalidError.of(name, _("Expected a whole number from 1."))
    return int(text)


def numbered(request: Request, rows: QuerySet, read: Callable[[Any], Any] = list) -> Page:
    """The page `page` of `rows`; `read` makes results of those on it. NotVisibleError behind the end."""
    size, start = place_of(request)
    found = list(rows[start : start + size + 1])
    known = start + len(found)
    counted = Count(known) if len(found) <= size else count(rows, known)
    return make_page(request, found, start, size, counted, read)


def place_of(request: Request) -> tuple[int, int]:
    """The size of the page asked for and how many rows come before it."""
    size = page_size(request)
    return size, (_whole(request, "page", 1) - 1) * size


def make_page(
    request: Request,
    found: list[Any],
    start: int,
    size: int,
    counted: Count,
    read: Callable[[Any], Any] = list,
) -> Page:
    """The page of `size` rows behind the first `start`; `found` are its rows and the next one, if any."""
    if not found and start:
        raise NotVisibleError(_("There is no such page."))
    number = start // size + 1
    return Page(
        read(found[:size]),
        address(request, page=number + 1) if len(found) > size else None,
        address(request, page=number - 1) if number > 1 else None,
        counted.number,
        counted.estimated,
    )


def page_of_list(request: Request, items: Sequence[Any]) -> Page:
    """The page `page` of what is in memory already."""
    size, start = place_of(request)
    return make_page(request, list(items[start : start + size + 1]), start, size, Count(len(items)), list)


def address(request: Request, **changes: Any) -> str:
    """The address of this request with some parameters changed."""
    params = request.query_params.copy()
    for key, value in changes.items():
        params[key] = value
    return request.build_absolute_uri(f"{request.path}?{params.urlencode()}")


def fingerprint(request: Request) -> str:
    """A cursor belongs to the filters and the ordering it was given out for."""
    kept = sorted((k, v) for k, v in request.query_params.items() if k not in ("cursor", "page_size"))
    return hashlib.sha256(json.dumps([request.path, kept]).encode()).hexdigest()[:16]


class PageNumberPagination(BasePagination):
    """`page` and `page_size`; the answer is a page object with its count and its neighbours' addresses."""

    page: Page

    def paginate_queryset(
        self, queryset: QuerySet | Sequence[Any], request: Request, view: Any = None
    ) -> list[Any]:
        if isinstance(queryset, QuerySet):
            self.page = numbered(request, queryset)
        else:
            self.page = page_of_list(request, queryset)
        return self.page.results

    def get_paginated_response(self, data: Any) -> Response:
        return Response(replace(self.page, results=data).body())

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return page_of(schema["items"])

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return PAGE_PARAMETERS
