"""The pages of an entity's list, by number or by cursor: ids, which the serializer has written as JSON."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from rest_framework.request import Request

from core.api.counting import ids_and_count
from core.api.cursor_pagination import page_of_ids
from core.api.pagination import PageNumberPagination, make_page, place_of
from core.api.schema.lists import PAGE_PARAMETERS
from core.api.schema.parts import TEXT, parameter
from core.entities import record_counts
from core.errors import InvalidError


class EntityPagination(PageNumberPagination):
    """`page` and `page_size`, or `cursor`. One statement finds the ids of a page and counts the rows."""

    def paginate_queryset(
        self, queryset: QuerySet | Sequence[Any], request: Request, view: Any = None
    ) -> list[Any]:
        if not isinstance(queryset, QuerySet):
            raise TypeError("an entity's list is read from the database")
        if "cursor" in request.query_params:
            if "page" in request.query_params:
                raise InvalidError.of("page", _("A list read by cursor has no page numbers."))
            self.page = page_of_ids(request, queryset, view.orders)
            return self.page.results
        size, start = place_of(request)
        kept = record_counts.number(queryset.model, request.user) if view.is_whole else None
        found, counted = ids_and_count(queryset, view.orders, start, size, kept)
        self.page = make_page(request, found, start, size, counted)
        return self.page.results

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        about = "Empty begins a stable walk through any number of records; then follow `next`."
        return [*PAGE_PARAMETERS, parameter("cursor", TEXT, about)]
