"""Consent (OAuth 2.1): an authorization code with PKCE, tokens and their rotation, by oauthlib.

oauthlib knows the protocol; here is what it asks of the database. Clients are public: they have no secret,
and S256 is the one proof. Codes and tokens are kept as digests. Imported with the first request.
"""

import secrets
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from oauthlib.oauth2 import RequestValidator
from oauthlib.oauth2.rfc6749 import errors
from oauthlib.oauth2.rfc6749.endpoints import AuthorizationEndpoint, RevocationEndpoint, TokenEndpoint
from oauthlib.oauth2.rfc6749.grant_types import AuthorizationCodeGrant, RefreshTokenGrant
from oauthlib.oauth2.rfc6749.grant_types.authorization_code import code_challenge_method_s256
from oauthlib.oauth2.rfc6749.tokens import BearerToken

from core.agents import sessions
from core.agents.clients import is_registered
from core.agents.models import AgentClient, AgentCode, AgentGrant, AgentToken
from core.agents.resource import known_scopes, resource_url
from core.agents.tokens import MARK, digest
from core.changes import audit_context

CODE_LIFETIME = timedelta(seconds=60)
ACCESS_LIFETIME = timedelta(hours=1)
# How long a used code or refresh token is kept, so that one that comes back is known.
KEPT = timedelta(days=1)
CHALLENGE_LENGTH = range(43, 129)


class InvalidTargetError(errors.OAuth2Error):
    """A token is asked for something else than /mcp (RFC 8707)."""

    error = "invalid_target"
    description = "Tokens are given out for the MCP endpoint alone."


class _S256CodeGrant(AuthorizationCodeGrant):
    _code_challenge_methods = {"S256": code_challenge_method_s256}


class Consents(RequestValidator):
    """What oauthlib asks. Call in a transaction: what is found is locked."""

    def client_authentication_required(self, request: Any, *args: Any, **kwargs: Any) -> bool:
        return False

    def authenticate_client_id(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> bool:
        return self.validate_client_id(client_id, request)

    def validate_client_id(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> bool:
        try:
            named = UUID(client_id or "")
        except ValueError:
            return False
        request.client = AgentClient.objects.filter(client_id=named).first()
        if request.client is not None:
            request.client.client_id = client_id  # oauthlib compares it as the text that was sent
        return request.client is not None

    def get_default_redirect_uri(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> None:
        """None: it is always said where to go back to."""

    def validate_redirect_uri(
        self, client_id: str, redirect_uri: str, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        return is_registered(redirect_uri, request.client.redirect_uris)

    def validate_response_type(
        self, client_id: str, response_type: str, client: Any, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        return response_type == "code"

    def validate_grant_type(
        self, client_id: str, grant_type: str, client: Any, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        return grant_type in ("authorization_code", "refresh_token")

    def is_pkce_required(self, client_id: str, request: Any) -> bool:
        return True

    def get_default_scopes(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> list[str]:
        return ["read"]

    def validate_scopes(
        self, client_id: str, scopes: list[str], client: Any, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        return set(scopes) <= set(known_scopes())

    # ---- Codes ----

    def save_authorization_code(
        self, client_id: str, code: Any, request: Any, *args: Any, **kwargs: Any
    ) -> None:
        AgentCode.objects.create(
            digest=digest(code["code"]),
            client=request.client,
            user=request.user,
            redirect_uri=request.redirect_uri,
            code_challenge=request.code_challenge,
            resource=resource_url(),
            terms={"scopes": request.scopes},
            expires_at=timezone.now() + CODE_LIFETIME,
        )

    def validate_code(
        self, client_id: str, code: str, client: Any, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        found = AgentCode.objects.select_for_update().filter(digest=digest(code), client=client).first()
        if found is None:
            return False
        if found.grant is not None:  # it was used: whoever has its tokens may have stolen them
            sessions.revoke(found.grant)
            return False
        if found.expires_at <= timezone.now() or not sessions.may_consent(found.user):
            return False
        request.kept_code, request.user, request.scopes = found, found.user, found.terms["scopes"]
        return True

    def get_code_challenge(self, code: str, request: Any) -> str:
        return request.kept_code.code_challenge

    def get_code_challenge_method(self, code: str, request: Any) -> str:
        return "S256"

    def confirm_redirect_uri(
        self,
        client_id: str,
        code: str,
        redirect_uri: str,
        client: Any,
        request: Any,
        *args: Any,
        **kwargs: Any,
    ) -> bool:
        return request.kept_code.redirect_uri == redirect_uri

    def invalidate_authorization_code(
        self, client_id: str, code: str, request: Any, *args: Any, **kwargs: Any
    ) -> None:
        """Nothing: it is used up by its grant."""

    # ---- Tokens ----

    def validate_refresh_token(
        self, refresh_token: str, client: Any, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        kept = AgentToken.objects.select_for_update(of=("self",)).select_related("grant__user")
        asked = {"digest": digest(refresh_token), "kind": AgentToken.Kind.REFRESH, "grant__client": client}
        found = kept.filter(**asked).first()
        if found is None:
            return False
        if found.used_at is not None:
            sessions.revoke(found.grant)
            return False
        if found.expires_at <= timezone.now() or not sessions.lets_in(found.grant):
            return False
        request.kept_token, request.user = found, found.grant.user
        return True

    def get_original_scopes(self, refresh_token: str, request: Any, *args: Any, **kwargs: Any) -> list[str]:
        return request.kept_token.grant.scopes

    def rotate_refresh_token(self, request: Any) -> bool:
        return True

    def save_bearer_token(self, token: Any, request: Any, *args: Any, **kwargs: Any) -> None:
        grant = self._renewed(request) if request.grant_type == "refresh_token" else self._granted(request)
        now = timezone.now()
        last: Any = grant.expires_at  # a grant by consent always has one
        refreshed = min(now + settings.JWT_REFRESH_LIFETIME, last)
        self._keep(grant, AgentToken.Kind.ACCESS, token["access_token"], now + ACCESS_LIFETIME)
        self._keep(grant, AgentToken.Kind.REFRESH, token["refresh_token"], refreshed)

    def _granted(self, request: Any) -> AgentGrant:
        code, now = request.kept_code, timezone.now()
        with audit_context(code.user, source="api"):
            grant = AgentGrant.objects.create(
                user=code.user,
                name=code.client.name,
                client=code.client,
                scopes=code.terms["scopes"],
                expires_at=now + settings.JWT_SESSION_LIFETIME,
            )
        AgentCode.objects.filter(pk=code.pk).update(grant=grant, expires_at=now + KEPT)
        AgentClient.objects.filter(pk=code.client_id).update(last_used_at=now)
        return grant

    def _renewed(self, request: Any) -> AgentGrant:
        used = request.kept_token
        AgentToken.objects.filter(pk=used.pk).update(used_at=timezone.now())
        AgentToken.objects.filter(grant=used.grant, kind=AgentToken.Kind.ACCESS).delete()
        return used.grant

    def _keep(self, grant: AgentGrant, kind: str, text: str, expires_at: datetime) -> None:
        AgentToken.objects.create(
            grant=grant, kind=kind, digest=digest(text), resource=resource_url(), expires_at=expires_at
        )

    def revoke_token(self, token: str, token_type_hint: str, request: Any, *args: Any, **kwargs: Any) -> None:
        rows = AgentToken.objects.filter(digest=digest(token), grant__client=request.client)
        found = rows.select_related("grant").first()
        if found is not None:
            sessions.revoke(found.grant)


class ConsentServer(AuthorizationEndpoint, TokenEndpoint, RevocationEndpoint):
    """The endpoints of the one flow there is."""

    def __init__(self) -> None:
        consents = Consents()
        bearer = BearerToken(consents, _new_token, int(ACCESS_LIFETIME.total_seconds()), _new_token)
        code = _S256CodeGrant(consents, pre_auth=[_check_authorization], pre_token=[_check_target])
        refresh = RefreshTokenGrant(consents, pre_token=[_check_target], post_token=[_keep_scopes])
        AuthorizationEndpoint.__init__(self, "code", bearer, {"code": code})
        grants = {"authorization_code": code, "refresh_token": refresh}
        TokenEndpoint.__init__(self, "authorization_code", bearer, grants)
        RevocationEndpoint.__init__(self, consents)


def _new_token(request: Any) -> str:
    return MARK + secrets.token_urlsafe(32)


def _check_target(request: Any) -> dict[str, Any]:
    """Raises InvalidTargetError for a resource that is not ours."""
    asked = getattr(request, "resource", None)
    if asked is not None and asked.rstrip("/") != resource_url():
        raise InvalidTargetError(request=request)
    return {}


def _keep_scopes(request: Any) -> dict[str, Any]:
    """New tokens have the scopes of their grant, also where fewer were asked for, and the answer says so."""
    request.scopes = request.kept_token.grant.scopes
    return {}


def _check_authorization(request: Any) -> dict[str, Any]:
    if request.code_challenge is not None and len(request.code_challenge) not in CHALLENGE_LENGTH:
        raise errors.InvalidRequestError(description="This is no code_challenge of S256.", request=request)
    return _check_target(request)
