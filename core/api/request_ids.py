"""`X-Request-ID`: taken from the client or made, echoed, and kept with every change."""

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from django.http import HttpRequest, HttpResponse

_ACCEPTED = re.compile(r"[A-Za-z0-9._\-]{1,64}\Z", re.ASCII)


class RequestIdMiddleware:
    """Gives each request an id before anything else runs."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if _ACCEPTED.match(given) else uuid4().hex
        request.request_id = request_id  # type: ignore[attr-defined]  # as Django's own middlewares do
        response = self.get_response(request)
        response["X-Request-ID"] = request_id
        return response


def request_id_of(request: Any) -> str:
    """The id of a Django or DRF request; "" outside of one."""
    return getattr(request, "request_id", "")
