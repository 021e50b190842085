"""Links beside a list of records, to what rooms above can do with it: export it, import into it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from core.registry import Registry


@dataclass(frozen=True)
class ListLink:
    """A link with its icon (a name of Material Symbols)."""

    title: Any
    icon: str
    url: str


# Makes the link for the list of a model as it is narrowed; None where it is not offered.
list_links: Registry[Callable[[HttpRequest, Any], ListLink | None]] = Registry("link of a list")


def links_of(request: HttpRequest, model: Any) -> list[ListLink]:
    return [link for make in list_links if (link := make(request, model)) is not None]
