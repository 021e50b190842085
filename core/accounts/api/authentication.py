"""`Authorization: Bearer …`: an access token of a session, or an API key. Cookies sign nobody in here."""

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from core.accounts import keys, sessions
from core.accounts.models import ApiKey, Session, User
from core.accounts.tokens import TokenRefusedError, read_access

SCHEME = "bearer"
CHALLENGE = 'Bearer realm="api"'


class _BearerAuthentication(BaseAuthentication):
    """What both kinds share: the header and the challenge."""

    def authenticate(self, request: Request) -> tuple[User, Any] | None:
        text = bearer(request)
        if text is None or text.startswith(keys.MARK) != self.takes_keys:
            return None
        return self.signed_in(text)

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
        session = sessions.live(token.session_id, token.user_id)
        if session is None:
            raise AuthenticationFailed("This session has ended; sign in again.", "session_ended")
        return session.user, session


class ApiKeyAuthentication(_BearerAuthentication):
    """An API key, which acts as its user within its scopes (core.api.permissions)."""

    takes_keys = True

    def signed_in(self, text: str) -> tuple[User, ApiKey]:
        key = keys.find(text)
        if key is None:
            raise AuthenticationFailed("This API key is not valid, expired or revoked.", "api_key_not_valid")
        keys.note_use(key)
        return key.user, key


def bearer(request: Request) -> str | None:
    """The credentials of a Bearer header; None without one."""
    scheme, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return text.strip() if scheme.lower() == SCHEME else None
