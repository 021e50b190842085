"""Filter backends: which rows a list has, in which order. What is unknown is a 400."""

from typing import Any, cast

from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.filters import BaseFilterBackend, OrderingFilter, SearchFilter
from rest_framework.request import Request

from core.access import VisibleQuerySet
from core.api.filtersets import filterset_of_fields
from core.api.parameters import PAGES
from core.api.querying import ordered
from core.conditions.filters import EntityFilterSet
from core.conditions.list_query import PARAMETERS, orders_of, searched
from core.entities.finding import Order
from core.errors import InvalidError


class EntityFilterBackend(DjangoFilterBackend):
    """The rows that the view's `filterset_class` finds; kept as `view.filterset`.

    Parameters that are neither its filters nor the view's own are refused, the known ones named.
    """

    def get_filterset_kwargs(self, request: Request, queryset: QuerySet, view: Any) -> dict[str, Any]:
        own = view.unfiltered_params.get(view.action, ())
        return {
            "data": request.query_params,
            "queryset": queryset,
            "request": request,
            "ignored": {*PARAMETERS, *own},
        }

    def filter_queryset(self, request: Request, queryset: QuerySet, view: Any) -> QuerySet:
        view.filterset = self.get_filterset(request, queryset, view)
        return view.filterset.checked


class EntitySearchFilter(SearchFilter):
    """The rows that hold every word of `search` in one of the view's `search_fields`."""

    def filter_queryset(self, request: Request, queryset: QuerySet, view: Any) -> QuerySet:
        return searched(view.filterset, queryset, view.search_fields)


class EntityOrderingFilter(OrderingFilter):
    """The order that `ordering` asks for, by the view's `ordering_fields` ("__all__": every column that can
    be ordered by); kept as `view.orders` for the paginator."""

    def get_orders(self, view: Any) -> list[Order]:
        asked: EntityFilterSet = view.filterset
        return orders_of(asked, None if view.ordering_fields == "__all__" else view.ordering_fields)

    def filter_queryset(self, request: Request, queryset: QuerySet, view: Any) -> QuerySet:
        view.orders = self.get_orders(view)
        return queryset.order_by(*(order.by() for order in view.orders))


class VisibleRowsFilter(BaseFilterBackend):
    """The rows that the user sees. The last one, so that a page can be read by the parts of what they see."""

    def filter_queryset(self, request: Request, queryset: QuerySet, view: Any) -> QuerySet:
        return cast(VisibleQuerySet, queryset).visible_to(request.user)


class ResourceFilterBackend(DjangoFilterBackend):
    """The rows that the view's `filterset_class`, or a FilterSet of its `filterset_fields`, finds.

    `parameters` names what the view reads itself; all others are refused.
    """

    def get_filterset_class(self, view: Any, queryset: QuerySet | None = None) -> Any:
        """The library's makes a class of `filterset_fields` at each request."""
        fields = tuple(view.filterset_fields)
        if getattr(view, "filterset_class", None) or not fields or queryset is None:
            return super().get_filterset_class(view, queryset)
        model: Any = queryset.model
        return filterset_of_fields(model, fields)

    def filter_queryset(self, request: Request, queryset: QuerySet, view: Any) -> QuerySet:
        filterset = self.get_filterset(request, queryset, view)
        filters = tuple(filterset.filters) if filterset is not None else ()
        ordering = ("ordering",) if getattr(view, "ordering_fields", None) else ()
        known = {*filters, *view.parameters, *ordering}
        for name in request.query_params:
            if name not in known and name not in PAGES and name != "format":
                raise InvalidError.unknown(name, sorted(known), "unknown")
        return queryset if filterset is None else filterset.checked


class ResourceOrderingFilter(OrderingFilter):
    """The order that `ordering` asks for, made unique by the id; the queryset's own without it.

    Empty values come last in either direction. What is not in `ordering_fields` is refused.
    """

    def filter_queryset(self, request: Request, queryset: QuerySet, view: Any) -> QuerySet:
        return ordered(request, queryset, view.ordering_fields or ())
