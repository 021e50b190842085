"""Who sends a request to /mcp: a bearer token that stands for a grant."""

from typing import Any

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from core.accounts import keys
from core.accounts.api.authentication import bearer, count_refused
from core.agents import sessions
from core.agents.models import AgentGrant

RESOURCE = "/mcp"


def resource_url() -> str:
    """What tokens for /mcp are for (RFC 8707)."""
    return f"{settings.PUBLIC_URL.rstrip('/')}{RESOURCE}"


class GrantAuthentication(BaseAuthentication):
    """An API key, which acts as its user within its scopes."""

    def authenticate(self, request: Request) -> tuple[Any, AgentGrant] | None:
        text = bearer(request)
        if text is None:
            return None
        grant = self._grant(text)
        if grant is None or not grant.is_live:
            count_refused(request)
            raise AuthenticationFailed("This credential is not valid here, expired or revoked.", "not_valid")
        return grant.user, grant

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="mcp"'

    def _grant(self, text: str) -> AgentGrant | None:
        if not text.startswith(keys.MARK):
            return None
        key = keys.find(text)
        if key is None:
            return None
        keys.note_use(key)
        return sessions.grant_of_key(key)
