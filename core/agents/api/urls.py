"""/mcp, and what it takes to be let in there."""

from django.urls import path, re_path

from core.agents.api import oauth
from core.agents.api.authentication import METADATA
from core.agents.api.mcp import McpView
from core.agents.resource import PATH

_METADATA = METADATA.removeprefix("/")
urlpatterns = [
    re_path(r"^mcp/?$", McpView.as_view(), name="mcp"),
    path(_METADATA, oauth.protected_resource, name="oauth-protected-resource"),
    path(f"{_METADATA}{PATH}", oauth.protected_resource),
    path(".well-known/oauth-authorization-server", oauth.authorization_server, name="oauth-server"),
    path("oauth/authorize", oauth.authorize, name="oauth-authorize"),
    path("oauth/login", oauth.SignIn.as_view(), name="oauth-login"),
    path("oauth/register", oauth.register, name="oauth-register"),
    path("oauth/revoke", oauth.revoke, name="oauth-revoke"),
    path("oauth/token", oauth.token, name="oauth-token"),
]
