"""One-time codes that an app exchanges for tokens. They are kept in Valkey alone: if it is wiped, one signs
in again."""

import base64
import hashlib
import secrets

from django.core.cache import cache
from django.utils.crypto import constant_time_compare

from core.accounts.models import User

LIFE_S = 60
_PREFIX = "single-sign-on:"


def issue(user: User, second_factor: bool, challenge: str) -> str:
    """A code for the user, to be exchanged with the verifier of the challenge (S256, RFC 7636)."""
    code = secrets.token_urlsafe(32)
    cache.set(_name(code), [user.pk, second_factor, challenge], LIFE_S)
    return code


def redeem(code: str, verifier: str) -> tuple[User, bool] | None:
    """Who the code stands for and whether they proved a second factor, once; None for a wrong one."""
    kept = cache.get(_name(code))
    if not kept or not cache.delete(_name(code)):
        return None
    pk, second_factor, challenge = kept
    if not constant_time_compare(challenge_of(verifier), challenge):
        return None
    user = User.objects.filter(pk=pk, is_active=True).first()
    return (user, second_factor) if user else None


def challenge_of(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _name(code: str) -> str:
    return _PREFIX + hashlib.sha256(code.encode()).hexdigest()
