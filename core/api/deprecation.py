"""Addresses that are to go announce it with every answer: `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and a
`Link` to what takes their place. The policy is in docs/api.md."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch, reverse
from django.utils.http import http_date

from core.api.routes import HYPHENATED


@dataclass(frozen=True)
class Deprecation:
    """Since when an address is deprecated, and from when on it may be gone."""

    since: datetime
    sunset: datetime

    def headers(self, successor: str) -> dict[str, str]:
        """What every answer of an address says whose place `successor` takes."""
        return {
            "Deprecation": f"@{int(self.since.timestamp())}",
            "Sunset": http_date(self.sunset.timestamp()),
            "Link": f'<{successor}>; rel="successor-version"',
        }


HYPHENATED_PATHS = Deprecation(datetime(2026, 11, 28, tzinfo=UTC), datetime(2027, 11, 30, tzinfo=UTC))


class DeprecationMiddleware:
    """Adds the headers to answers of paths with hyphens, errors too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        match = request.resolver_match
        if match is not None and HYPHENATED in (match.url_name or ""):
            for name, value in HYPHENATED_PATHS.headers(_successor(match)).items():
                response[name] = value
        return response


def _successor(match: ResolverMatch) -> str:
    """The documented path: the same route and parameters under the name with underscores."""
    return reverse(match.view_name.replace(HYPHENATED, ""), kwargs=match.kwargs) + "/"
