"""The language of a request: that of its user, else one that the browser asks for, else LANGUAGE_CODE."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.translation.trans_real import get_supported_language_variant, parse_accept_lang_header


class LanguageMiddleware:
    """Has the language in force while the request is answered, and says so where people read the answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with translation.override(asked_for(request)):
            response = self.get_response(request)
            if _is_read_by_people(response):
                patch_vary_headers(response, ("Accept-Language",))
                response.headers.setdefault("Content-Language", translation.get_language() or "")
        return response

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        # The API knows its user later, and activates their language then (core.accounts.api.authentication).
        # Without a cookie there is nobody to ask for, and answers may not depend on one.
        if settings.SESSION_COOKIE_NAME in request.COOKIES and request.user.is_authenticated:
            activate(request.user)


def asked_for(request: HttpRequest) -> str:
    """The first language of `Accept-Language` that there is, else LANGUAGE_CODE."""
    for code, _quality in parse_accept_lang_header(request.META.get("HTTP_ACCEPT_LANGUAGE", "")):
        if code == "*":
            break
        try:
            return get_supported_language_variant(code)
        except LookupError:
            continue
    return settings.LANGUAGE_CODE


def activate(user: Any) -> None:
    """Have the user's own language in force, where they chose one."""
    if user.language in dict(settings.LANGUAGES):
        translation.activate(user.language)


def _is_read_by_people(response: HttpResponseBase) -> bool:
    """Pages and errors; what machines read is the same in every language."""
    kind = response.headers.get("Content-Type", "")
    return kind.startswith("text/html") or response.status_code >= 400
