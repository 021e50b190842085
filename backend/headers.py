"""Headers of every answer that Django's own middleware does not set."""

import secrets
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse

# An answer of the API is data: nothing in it may load, run or be framed.
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"
# Pages live on what this server sends. Scripts and styles inside a page carry the nonce of its request.
SOURCES = {
    "default-src": "'self'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
# The admin site's toolkit (Alpine.js, htmx) evaluates expressions in attributes and writes styles there.
ADMIN_SOURCES = {"script-src": "'self' 'unsafe-inline' 'unsafe-eval'", "style-src": "'self' 'unsafe-inline'"}
# Its sign-in pages under another name; all others are below its first one.
SIGN_IN_NAMESPACE = "rest_framework"
# DRF's pages of the API have style attributes, and no script of their own inside.
BROWSABLE_SOURCES = {"style-src": "'self' 'unsafe-inline'"}
PERMISSIONS_POLICY = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"


def policy(**sources: str) -> str:
    """The Content-Security-Policy of a page, some of its sources others."""
    return "; ".join(f"{name} {allowed}" for name, allowed in (SOURCES | sources).items())


class Nonce:
    """What a template writes as `nonce="{{ request.csp_nonce }}"`; made when it is first written."""

    def __init__(self) -> None:
        self.value = ""

    def __str__(self) -> str:
        self.value = self.value or secrets.token_urlsafe(16)
        return self.value

    def policy(self) -> str:
        """The policy of a page that may have written it."""
        if not self.value:
            return policy()
        allowed = f"'self' 'nonce-{self.value}'"
        return policy(**{"script-src": allowed, "style-src": allowed})


class PolicyHeaders:
    """Adds Content-Security-Policy and Permissions-Policy where the view has not set its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> HttpResponseBase:
        request.csp_nonce = Nonce()
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", _policy_of(request, response))
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        return response


def _policy_of(request: Any, response: HttpResponseBase) -> str:
    if not response.get("Content-Type", "").startswith("text/html"):
        return DATA_POLICY
    match = request.resolver_match
    is_below = request.path.startswith(reverse("admin:index"))
    is_admin = match is not None and (is_below or SIGN_IN_NAMESPACE in match.namespaces)
    # Django's own pages about an error, which only a development machine shows.
    is_debug_page = settings.DEBUG and response.status_code >= 400
    if is_admin or is_debug_page:
        return policy(**ADMIN_SOURCES)
    is_browsable = getattr(getattr(response, "accepted_renderer", None), "format", "") == "api"
    return policy(**BROWSABLE_SOURCES) if is_browsable else request.csp_nonce.policy()
