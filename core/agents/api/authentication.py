"""Who sends a request to /mcp: a bearer token that stands for a grant."""

from typing import Any

from django.utils import translation
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from core.accounts import keys
from core.accounts.api.authentication import bearer, count_refused
from core.agents import sessions, tokens
from core.agents.models import AgentGrant
from core.agents.resource import PATH, public_url
from core.labels import MACHINE_LANGUAGE

# Where it is said whom to ask for a token (RFC 9728).
METADATA = "/.well-known/oauth-protected-resource"


class GrantAuthentication(BaseAuthentication):
    """An access token that a user consented to, or an API key."""

    def authenticate(self, request: Request) -> tuple[Any, AgentGrant] | None:
        text = bearer(request)
        if text is None:
            return None
        grant = self._grant(text)
        if grant is None or not sessions.lets_in(grant):
            count_refused(request)
            raise AuthenticationFailed("This credential is not valid here, expired or revoked.", "not_valid")
        # A model reads the answers, which are the same whatever its user speaks.
        translation.activate(MACHINE_LANGUAGE)
        return grant.user, grant

    def authenticate_header(self, request: Request) -> str:
        return f'Bearer realm="mcp", resource_metadata="{public_url()}{METADATA}{PATH}"'

    def _grant(self, text: str) -> AgentGrant | None:
        if not text.startswith(keys.MARK):
            return tokens.find(text)
        key = keys.find(text)
        if key is None:
            return None
        keys.note_use(key)
        return sessions.grant_of_key(key)
