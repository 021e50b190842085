"""The router: apps register their viewsets here, under /api/v1/, from their registration.py."""

from typing import Any

from rest_framework.routers import Route, SimpleRouter

END = "{trailing_slash}$"
HYPHENATED = "-hyphenated"


class Router(SimpleRouter):
    """Paths with and without their slash; names of own routes in snake_case and with hyphens alike."""

    def __init__(self) -> None:
        super().__init__()
        self.trailing_slash = "/?"

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
    """Serve `viewset` at /api/v1/<prefix>/."""
    router.register(prefix, viewset, basename or prefix)
