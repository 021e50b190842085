"""Requests per time, per user or else per address, reported in `RateLimit-*` and `Retry-After`."""

from collections.abc import Callable
from math import ceil
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from core.accounts import limits
from core.accounts.limits import RateLimitResult
from core.accounts.origin import origin_of


class RateThrottle(BaseThrottle):
    """DEFAULT_RATE_LIMIT for each user, ANONYMOUS_RATE_LIMIT for each address nobody signed in from.

    Without Valkey requests pass uncounted.
    """

    def __init__(self) -> None:
        self._result: RateLimitResult | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        if not settings.RATE_LIMIT_ENABLED:
            return True
        key, limit = self._counter(request)
        self._result = limits.consume(key, limits.rate_of(limit))
        request._request.rate_limit = self._result  # type: ignore[attr-defined]  # for the headers
        return self._result is None or self._result.allowed

    def _counter(self, request: Request) -> tuple[str, str]:
        if request.user and request.user.is_authenticated:
            return f"user:{request.user.pk}", settings.DEFAULT_RATE_LIMIT
        return f"address:{origin_of(request._request).network}", settings.ANONYMOUS_RATE_LIMIT

    def wait(self) -> float | None:
        return self._result.reset_s if self._result else None


class RateLimitHeadersMiddleware:
    """Tells how much is left, on every answer to a counted request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        result: RateLimitResult | None = getattr(request, "rate_limit", None)
        if result is not None:
            response["RateLimit-Limit"] = str(result.rate.count)
            response["RateLimit-Remaining"] = str(result.remaining)
            response["RateLimit-Reset"] = str(ceil(result.reset_s))
            response["RateLimit-Policy"] = f"{result.rate.count};w={result.rate.seconds}"
        return response
