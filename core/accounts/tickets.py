"""One-time tickets: what opens a WebSocket from a browser, which cannot send a header with it.

A ticket stands for whoever asked for it, for half a minute and for one use. They are kept in Valkey alone: if
it is wiped the client asks for another.
"""

import hashlib
import secrets
from dataclasses import dataclass

from django.core.cache import cache
from django.http import HttpRequest

from core.access import scopes
from core.accounts import sessions
from core.accounts.models import ApiKey, Session, User

LIFE_S = 30
PREFIX = "live-ticket:"


@dataclass(frozen=True)
class Speaker:
    """Who speaks: a user by a session or by an API key; whether that still holds is asked again and again."""

    user_id: int
    session_id: int | None = None
    key_id: int | None = None

    def user(self) -> User | None:
        """The user as they are now; None once the session or key has ended."""
        if self.session_id is not None:
            session = sessions.live(self.session_id, self.user_id)
            return session.user if session else None
        key = ApiKey.objects.select_related("user").filter(pk=self.key_id, user_id=self.user_id).first()
        return key.user if key and key.is_live else None

    def may_read(self, resource: str) -> bool:
        """Whether a key has the scope for it; a session has the user's own rights."""
        if self.session_id is not None:
            return True
        key = ApiKey.objects.filter(pk=self.key_id).first()
        return key is not None and scopes.scope_allows(key.scopes, resource, writing=False)


def speaker_of(request: HttpRequest, auth: object) -> Speaker | None:
    """Whoever signed the request; None where neither a session nor a key did."""
    if isinstance(auth, Session):
        return Speaker(request.user.pk, session_id=auth.pk)
    return Speaker(request.user.pk, key_id=auth.pk) if isinstance(auth, ApiKey) else None


def issue(speaker: Speaker) -> str:
    """A ticket for `speaker`."""
    text = secrets.token_urlsafe(32)
    cache.set(_name(text), [speaker.user_id, speaker.session_id, speaker.key_id], LIFE_S)
    return text


def redeem(text: str) -> Speaker | None:
    """Who the ticket stands for, once: of simultaneous uses the one that deletes it wins."""
    if not 20 <= len(text) <= 100:
        return None
    name = _name(text)
    kept = cache.get(name)
    return Speaker(*kept) if kept and cache.delete(name) else None


def _name(text: str) -> str:
    return PREFIX + hashlib.sha256(text.encode()).hexdigest()
