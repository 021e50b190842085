"""One-time tickets: what opens a WebSocket from a browser, which cannot send a header with it.

A ticket stands for whoever asked for it, for half a minute and for one use. They are kept in Valkey alone: if
it is wiped the client asks for another.
"""

import hashlib
import secrets
from dataclasses import dataclass

from django.core.cache import cache

from core.access import scopes
from core.accounts import second_factor, session_sql
from core.accounts.models import ApiKey, Session, User

LIFE_S = 30
PREFIX = "live-ticket:"


@dataclass(frozen=True)
class Principal:
    """Whoever was authenticated: a user by a session or by an API key. Whether that still holds is asked
    again and again."""

    user_id: int
    session_id: int | None = None
    key_id: int | None = None

    def user(self) -> User | None:
        """The user as they are now; None once the session or key has ended."""
        if self.session_id is not None:
            session = session_sql.live(self.session_id, self.user_id)
            missing = session is not None and second_factor.is_missing(session.user, session)
            return session.user if session and not missing else None
        key = self._key()
        return key.user if key and key.is_live else None

    def may_read(self, resource: str) -> bool:
        """Whether a key has the scope for it; a session has the user's own rights."""
        if self.session_id is not None:
            return True
        key = self._key()
        return key is not None and scopes.scope_allows(key.scopes, resource, writing=False)

    def _key(self) -> ApiKey | None:
        if self.key_id is None:
            return None
        return ApiKey.objects.select_related("user").filter(pk=self.key_id, user_id=self.user_id).first()


def principal_of(auth: object) -> Principal | None:
    """Whoever a request was signed by; None where neither a session nor a key did."""
    if isinstance(auth, Session):
        return Principal(auth.user_id, session_id=auth.pk)
    return Principal(auth.user_id, key_id=auth.pk) if isinstance(auth, ApiKey) else None


def issue(principal: Principal) -> str:
    """A ticket for `principal`."""
    text = secrets.token_urlsafe(32)
    cache.set(_name(text), [principal.user_id, principal.session_id, principal.key_id], LIFE_S)
    return text


def redeem(text: str) -> Principal | None:
    """Who the ticket stands for, once: of simultaneous uses the one that deletes it wins."""
    if not 20 <= len(text) <= 100:
        return None
    name = _name(text)
    kept = cache.get(name)
    return Principal(*kept) if kept and cache.delete(name) else None


def _name(text: str) -> str:
    return PREFIX + hashlib.sha256(text.encode()).hexdigest()
