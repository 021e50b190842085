"""Access and refresh tokens: simplejwt writes and checks them, with our own key and one algorithm.

Claims: `iss`, `aud`, `iat`, `nbf`, `exp`, `jti`, `token_type`, `sub` (the user's id) and `sid` (the
session's). A token says who claims to be there; whether that still holds the session row says.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import TypeVar

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import Token

from core.errors import DomainError

ALGORITHM = "HS256"
# No honest token is longer; what is need not be looked at.
MAX_LENGTH = 2_000


class TokenRefusedError(DomainError):
    """The token is malformed, forged, expired, of another kind or for another audience."""

    code = "token_not_valid"


@lru_cache(maxsize=4)
def _backend(key: str, audience: str, issuer: str) -> TokenBackend:
    return TokenBackend(ALGORITHM, key, audience=audience, issuer=issuer)


class CrmToken(Token):
    """A token of a session, written and checked with this installation's key, audience and issuer."""

    def get_token_backend(self) -> TokenBackend:
        return _backend(settings.JWT_SIGNING_KEY, settings.JWT_AUDIENCE, settings.JWT_ISSUER)

    def verify(self) -> None:
        """Beside signature, audience, issuer, times and kind: whose it is. Raises TokenError."""
        super().verify()
        for claim in ("sub", "sid"):
            value = self.payload.get(claim)
            if not (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19):
                raise TokenError(f"Token has no {claim}")

    @property
    def user_id(self) -> int:
        return int(self["sub"])

    @property
    def session_id(self) -> int:
        return int(self["sid"])

    def belong(self, user_id: int, session_id: int) -> None:
        """Name the user and the session."""
        self.payload |= {"sub": str(user_id), "sid": str(session_id), "nbf": self["iat"]}


TokenKind = TypeVar("TokenKind", bound=CrmToken)


class AccessToken(CrmToken):
    token_type = "access"  # noqa: S105

    @property
    def lifetime(self) -> timedelta:  # type: ignore[override]  # a setting, read when a token is made
        return settings.JWT_ACCESS_LIFETIME


class RefreshToken(CrmToken):
    token_type = "refresh"  # noqa: S105

    @property
    def lifetime(self) -> timedelta:  # type: ignore[override]
        return settings.JWT_REFRESH_LIFETIME

    def expire_at(self, moment: datetime) -> None:
        self.payload["exp"] = int(moment.timestamp())


def read_access(text: str) -> AccessToken:
    """A checked access token. Raises TokenRefusedError.

    A client sends the same token with each of its requests: its signature and its claims are checked once,
    whether it has expired each time. Whether its session still lives is the session row's to say.
    """
    _refuse_long(text)
    token = _checked_access(text, settings.JWT_SIGNING_KEY, settings.JWT_AUDIENCE, settings.JWT_ISSUER)
    try:
        token.check_exp(current_time=timezone.now())
    except TokenError as error:
        raise TokenRefusedError(_("The token is not valid or has expired.")) from error
    return token


@lru_cache(maxsize=2_000)
def _checked_access(text: str, key: str, audience: str, issuer: str) -> AccessToken:
    """What was refused is not kept: lru_cache keeps no exceptions."""
    return _read(AccessToken, text)


def read_refresh(text: str) -> RefreshToken:
    """A checked refresh token. Raises TokenRefusedError."""
    return _read(RefreshToken, text)


def _refuse_long(text: str) -> None:
    if len(text) > MAX_LENGTH:
        raise TokenRefusedError(_("This is no token of ours."))


def _read(kind: type[TokenKind], text: str) -> TokenKind:
    _refuse_long(text)
    try:
        return kind(text)  # type: ignore[arg-type]  # the stubs know no token by its text
    except TokenError as error:
        raise TokenRefusedError(_("The token is not valid or has expired.")) from error
