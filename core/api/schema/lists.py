"""The parameters of lists that are no entity's, as core.api.querying reads them."""

from collections.abc import Collection
from typing import Any

from drf_spectacular.utils import OpenApiParameter

from core.api.schema.parts import ID, TEXT, Schema, parameter
from core.entities.columns import column

PAGE_PARAMETERS = [
    parameter("page", ID, "Number of the page."),
    parameter("page_size", ID | {"maximum": 500, "default": 50}, "Results per page."),
]
IF_MATCH = OpenApiParameter(
    "If-Match",
    TEXT,
    OpenApiParameter.HEADER,
    description="The `ETag` of what you read. If it was changed since, the answer is a 412.",
)
EXACTLY = "Equal to this value; given several times, any of them."
ABOUT = {
    "archived": "true: only archived ones.",
    "created_after": "Created at this moment (ISO 8601) or later.",
    "created_before": "Created before this moment (ISO 8601).",
    "date_from": "On this day or later.",
    "date_to": "On this day or before.",
    "is_active": "true (the default), false, or any for both.",
    "search": "Words that must all occur in a name.",
    "shared_with_me": "Shared with you or your team.",
    "unread": "true: unread ones; false: read ones.",
}


def query_parameters(
    model: Any, filters: Collection[str] = (), others: Collection[str] = (), orderings: Collection[str] = ()
) -> list[Schema]:
    """What a list of `model` can be asked, without its pages."""
    made = [parameter(name, column(model, name).field_type.json_schema(), EXACTLY) for name in filters]
    made += [parameter(name, TEXT, _about(name)) for name in others]
    if orderings:
        known = ", ".join(orderings)
        made.append(parameter("ordering", TEXT, f"Fields with commas, `-` for descending. Known: {known}."))
    return made


def _about(name: str) -> str:
    """What a parameter that a view reads itself means; others are entities whose record is named."""
    return ABOUT.get(name) or f"Of the {name} with this id."


def resource_parameters(view: Any) -> list[Schema]:
    """What the list of a ResourceViewSet (or of its class) can be asked, without its pages."""
    filterset = getattr(view, "filterset_class", None)
    filters = tuple(filterset.get_fields()) if filterset else view.filterset_fields
    declared = tuple(filterset.declared_filters) if filterset else ()
    return query_parameters(view.model, filters, (*declared, *view.parameters), view.ordering_fields)


def nested_list_parameters(view: Any) -> list[OpenApiParameter]:
    """The parameters of a resource's list, for its list under another resource's address."""
    return _documented([*resource_parameters(view), *PAGE_PARAMETERS])


def _documented(found: list[Schema]) -> list[OpenApiParameter]:
    return [OpenApiParameter(p["name"], p["schema"], description=p["description"]) for p in found]


PAGING = _documented(PAGE_PARAMETERS)
