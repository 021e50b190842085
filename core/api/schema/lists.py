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
EXACTLY = "Exactly this; given several times, any of them."
ABOUT = {
    "archived": "true: what was archived, and nothing else.",
    "created_after": "Created at this moment (ISO 8601) or later.",
    "created_before": "Created before this moment (ISO 8601).",
    "is_active": "true (as without it), false, or any for both.",
    "search": "Words that must all occur in a name.",
    "unread": "true: the unread; false: those that were read.",
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


def list_parameters(*args: Any, **kwargs: Any) -> list[OpenApiParameter]:
    """`query_parameters` and the pages, for a route of a view's own."""
    found = [*query_parameters(*args, **kwargs), *PAGE_PARAMETERS]
    return [OpenApiParameter(p["name"], p["schema"], description=p["description"]) for p in found]


PAGING = list_parameters(None)
