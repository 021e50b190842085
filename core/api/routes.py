"""The router: apps and features register their viewsets and other addresses from their registration.py."""

import re
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.urls import URLPattern, URLResolver, include, re_path
from rest_framework.routers import Route, SimpleRouter

END = "{trailing_slash}$"
HYPHENATED = "-hyphenated"
_FIRST_WORD = re.compile(r"\^([\w-]+)(.*)", re.DOTALL)


class Router(SimpleRouter):
    """Paths with and without their slash; prefixes and names of own routes in snake_case and with hyphens."""

    def __init__(self) -> None:
        super().__init__()
        self.trailing_slash = "/?"

    def register(self, prefix: str, viewset: Any, basename: str | None = None) -> None:
        super().register(prefix, viewset, basename or prefix)
        if "_" in prefix:
            super().register(prefix.replace("_", "-"), viewset, f"{basename or prefix}{HYPHENATED}")

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """By their first word: a path is compared with each of these, then with that one's own only."""
        groups: dict[str, list[URLPattern]] = {}
        for pattern in super().get_urls():
            found = _FIRST_WORD.match(str(pattern.pattern))
            if not isinstance(pattern, URLPattern) or pattern.callback is None or found is None:
                raise ImproperlyConfigured(f"{pattern.pattern} begins with no word")
            word, rest = found.groups()
            groups.setdefault(word, []).append(re_path(f"^{rest}", pattern.callback, name=pattern.name))
        return [re_path(f"^{word}", include(own)) for word, own in groups.items()]

    def get_routes(self, viewset: Any) -> list[Route]:
        routes = super().get_routes(viewset)
        return [twin for route in routes for twin in (route, *_hyphenated(route))]


def _hyphenated(route: Route) -> list[Route]:
    """`bulk_update` is also `bulk-update`; the name with underscores is the documented one."""
    own = route.url.removesuffix(END).rpartition("}/")[2]
    if "_" not in own or "{" in own:
        return []
    url = route.url.removesuffix(own + END) + own.replace("_", "-") + END
    return [route._replace(url=url, name=route.name + HYPHENATED)]


router = Router()


def register(prefix: str, viewset: Any, basename: str | None = None) -> None:
    """Serve `viewset` at /api/v1/<prefix>/, and where that has underscores with hyphens as well."""
    router.register(prefix, viewset, basename)


# Addresses that belong to no viewset: (prefix below /api/, patterns).
included: list[tuple[str, Sequence[URLPattern | URLResolver]]] = []


def include_urls(prefix: str, patterns: Sequence[URLPattern | URLResolver]) -> None:
    """Serve `patterns` below /api/<prefix>."""
    included.append((prefix, patterns))
