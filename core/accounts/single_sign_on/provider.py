"""The identity provider: where to send a browser, and what its answer proves."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.django_client import OAuth
from django.conf import settings
from django.utils.translation import gettext as _
from joserfc.errors import JoseError
from requests import RequestException

from core.errors import DomainError

TIMEOUT_S = 10
METADATA = "/.well-known/openid-configuration"
# How far the provider's clock may be off.
LEEWAY_S = 60


class ProviderError(DomainError):
    """The provider does not answer, or answers what proves nothing."""

    code = "provider_refused"


@dataclass(frozen=True)
class AuthenticationRequest:
    """One request to sign in, as the browser keeps it until it comes back."""

    state: str
    nonce: str
    code_verifier: str


def is_configured() -> bool:
    return bool(settings.OIDC_ISSUER)


def begin(redirect_uri: str) -> tuple[str, AuthenticationRequest]:
    """Where the browser goes, and what to compare with when it is back. Raises ProviderError."""
    try:
        made = _client().create_authorization_url(redirect_uri)
    except (AuthlibBaseError, RequestException, RuntimeError, ValueError) as error:
        raise ProviderError(_("The identity provider does not answer.")) from error
    return made["url"], AuthenticationRequest(made["state"], made["nonce"], made["code_verifier"])


def claims(request: AuthenticationRequest, redirect_uri: str, code: str) -> Mapping[str, Any]:
    """What the provider says of who signed in: the claims of the ID token, once its signature, issuer,
    audience, nonce and times were checked (OpenID Connect Core 3.1.3.7), and those of the userinfo endpoint
    where it has one. Raises ProviderError."""
    try:
        client = _client()
        token = client.fetch_access_token(redirect_uri, code=code, code_verifier=request.code_verifier)
        proven = client.parse_id_token(token, request.nonce, _expected(), leeway=LEEWAY_S)
        more = client.userinfo(token=token) if client.server_metadata.get("userinfo_endpoint") else {}
    except (AuthlibBaseError, JoseError, RequestException, RuntimeError, ValueError, KeyError) as error:
        raise ProviderError(_("The identity provider did not confirm the sign-in.")) from error
    if not proven or not proven.get("sub"):
        raise ProviderError(_("The identity provider did not say who signed in."))
    # An answer about another user is not to be used (OpenID Connect Core 5.3.2).
    same = more.get("sub") == proven["sub"]
    return {**(more if same else {}), **proven}


def _expected() -> dict[str, Any]:
    return {
        "iss": {"essential": True, "value": settings.OIDC_ISSUER},
        "aud": {"essential": True, "value": settings.OIDC_CLIENT_ID},
    }


def _client() -> Any:
    names = ("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", "OIDC_SCOPES")
    return _made(*(getattr(settings, name) for name in names))


@cache
def _made(issuer: str, client_id: str, secret: str, scopes: str) -> Any:
    """Authlib's client; it keeps the provider's metadata and keys, and asks for new keys when needed."""
    options = {"scope": scopes, "code_challenge_method": "S256", "default_timeout": TIMEOUT_S}
    return OAuth().register(
        "provider",
        client_id=client_id,
        client_secret=secret or None,
        server_metadata_url=f"{issuer.rstrip('/')}{METADATA}",
        client_kwargs=options,
    )
