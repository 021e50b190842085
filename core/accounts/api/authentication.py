"""`Authorization: Bearer …`: an access token of a session, or an API key. Cookies are for pages alone."""

import re
from typing import Any

from django.utils.translation import gettext
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied, Throttled
from rest_framework.request import Request

from core.access import scopes
from core.accounts import keys, languages, second_factor, session_sql
from core.accounts.attempts import TooManyAttemptsError, count_refused_credential
from core.accounts.models import ApiKey, Session, User
from core.accounts.origin import origin_of
from core.accounts.tokens import TokenRefusedError, read_access

SCHEME = "bearer"
CHALLENGE = 'Bearer realm="api"'
# What a session may do whose user must have a second factor and has none yet.
SETTING_UP = re.compile(
    r"/api/auth/(?:me|second_factor(?:/confirm)?|passkeys(?:/registration[_-]options)?)/?\Z"
)


class _BearerAuthentication(BaseAuthentication):
    """What both kinds share: the header and the challenge."""

    def authenticate(self, request: Request) -> tuple[User, Any] | None:
        text = bearer(request)
        if text is None or text.startswith(keys.MARK) != self.takes_keys:
            return None
        try:
            user, proof = self.signed_in(text)
        except AuthenticationFailed:
            count_refused(request)
            raise
        if second_factor.is_missing(user, proof) and not SETTING_UP.match(request.path):
            languages.activate(user)
            raise PermissionDenied(
                gettext("Your role needs a second factor: set it up first."), "second_factor_required"
            )
        languages.activate(user)
        return user, proof

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE

    takes_keys = False

    def signed_in(self, text: str) -> tuple[User, Any]:
        """The user and what speaks for them. Raises AuthenticationFailed."""
        raise AuthenticationFailed(code="authentication_failed")


class SessionJWTAuthentication(_BearerAuthentication):
    """An access token. Its session and user are read at each request, in one query: what ended is over."""

    def signed_in(self, text: str) -> tuple[User, Session]:
        try:
            token = read_access(text)
        except TokenRefusedError as error:
            raise AuthenticationFailed(error.message, error.code) from error
        session = session_sql.live(token.session_id, token.user_id)
        if session is None:
            raise AuthenticationFailed(gettext("This session has ended; sign in again."), "session_ended")
        return session.user, session


class ApiKeyAuthentication(_BearerAuthentication):
    """An API key, which acts as its user within its scopes (core.api.permissions)."""

    takes_keys = True

    def signed_in(self, text: str) -> tuple[User, ApiKey]:
        key = keys.find(text)
        if key is None:
            raise AuthenticationFailed(
                gettext("This API key is not valid, expired or revoked."), "api_key_not_valid"
            )
        keys.note_use(key)
        scopes.limit_to(key.user, key.scopes)
        return key.user, key


def count_refused(request: Request) -> None:
    """Count a credential that was refused. Raises Throttled where an address sent too many of them."""
    try:
        count_refused_credential(origin_of(request._request))
    except TooManyAttemptsError as error:
        raise Throttled(wait=error.wait_s, detail=error.message) from error


class PageAuthentication(SessionAuthentication):
    """The session of the admin site, for the API's pages in a browser; who asks for JSON brings a token.

    What changes something needs the CSRF token that the page holds.
    """

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        wants_page = "text/html" in request.META.get("HTTP_ACCEPT", "")
        found = super().authenticate(request) if wants_page else None
        if found:
            languages.activate(found[0])
        return found


def bearer(request: Request) -> str | None:
    """The credentials of a Bearer header; None without one."""
    scheme, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return text.strip() if scheme.lower() == SCHEME else None
