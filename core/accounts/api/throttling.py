"""Requests per time, per user or else per address, told in `RateLimit-*` and `Retry-After`."""

from collections.abc import Callable
from math import ceil
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from core.accounts import limits
from core.accounts.limits import Verdict
from core.accounts.origin import origin_of


class RateThrottle(BaseThrottle):
    """DEFAULT_RATE_LIMIT for each user, ANONYMOUS_RATE_LIMIT for each address nobody signed in from.

    Without Valkey requests pass uncounted.
    """

    def __init__(self) -> None:
        self._verdict: Verdict | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        if not settings.RATE_LIMIT_ENABLED:
            return True
        key, limit = self._counter(request)
        self._verdict = limits.hit(key, limits.rate_of(limit))
        request._request.rate_limit = self._verdict  # for the headers
        return self._verdict is None or self._verdict.allowed

    def _counter(self, request: Request) -> tuple[str, str]:
        if request.user and request.user.is_authenticated:
            return f"user:{request.user.pk}", settings.DEFAULT_RATE_LIMIT
        return f"address:{origin_of(request._request).network}", settings.ANONYMOUS_RATE_LIMIT

    def wait(self) -> float | None:
        return self._verdict.reset_s if self._verdict else None


class RateLimitHeadersMiddleware:
    """Tells how much is left, on every answer to a counted request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        verdict: Verdict | None = getattr(request, "rate_limit", None)
        if verdict is not None:
            response["RateLimit-Limit"] = str(verdict.rate.count)
            response["RateLimit-Remaining"] = str(verdict.remaining)
            response["RateLimit-Reset"] = str(ceil(verdict.reset_s))
            response["RateLimit-Policy"] = f"{verdict.rate.count};w={verdict.rate.seconds}"
        return response
