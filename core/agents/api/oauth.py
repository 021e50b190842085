"""OAuth over HTTP: what is known about it, registration, the page that asks for consent, tokens."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson
from django.conf import settings
from django.contrib.auth import forms as auth_forms
from django.contrib.auth.views import LoginView
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from core.access.scopes import WRITE
from core.accounts import limits
from core.accounts.admin_login import LoginForm
from core.accounts.limits import rate_of
from core.accounts.origin import origin_of
from core.agents import clients
from core.agents.models import reading
from core.agents.resource import in_words, known_scopes, public_url, resource_url
from core.agents.tokens import forget_old
from core.conf import conf

View = Callable[..., HttpResponse]
REGISTRATIONS, TOKEN_REQUESTS = "20/hour", "120/minute"
UNREADABLE = "The query is not written as application/x-www-form-urlencoded."
NOT_KEPT = {"Cache-Control": "no-store", "Pragma": "no-cache"}
# The page that asks runs nothing, loads its style alone, and is framed by nobody.
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none';"
    " form-action 'self'{target}"
)


def _open(view: View) -> View:
    """While there is /mcp."""

    @wraps(view)
    def run(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not settings.MCP_ENABLED:
            raise Http404
        return view(request, *args, **kwargs)

    return run


def _limited(name: str, rate: str) -> Callable[[View], View]:
    """So often from one address."""

    def decorate(view: View) -> View:
        @wraps(view)
        def run(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            key = f"{name}:{origin_of(request).network}"
            result = settings.RATE_LIMIT_ENABLED and limits.consume(key, rate_of(rate), local=True)
            if result and not result.allowed:
                answer = _refused(429, "temporarily_unavailable", "Too many requests; wait.")
                answer["Retry-After"] = str(int(result.reset_s) + 1)
                return answer
            return view(request, *args, **kwargs)

        return run

    return decorate


def _refused(status: int, code: str, message: str) -> HttpResponse:
    return JsonResponse({"error": code, "error_description": message}, status=status, headers=NOT_KEPT)


@_open
@require_safe
def protected_resource(request: HttpRequest) -> HttpResponse:
    """RFC 9728: whom to ask for access to /mcp."""
    return JsonResponse(
        {
            "resource": resource_url(),
            "resource_name": settings.SITE_NAME,
            "authorization_servers": [public_url()],
            "scopes_supported": ["read", "write"],
            "bearer_methods_supported": ["header"],
        }
    )


@_open
@require_safe
def authorization_server(request: HttpRequest) -> HttpResponse:
    """RFC 8414: how to ask for it."""
    base = public_url()
    return JsonResponse(
        {
            "issuer": base,
            "authorization_endpoint": f"{base}{reverse('oauth-authorize')}",
            "token_endpoint": f"{base}{reverse('oauth-token')}",
            "registration_endpoint": f"{base}{reverse('oauth-register')}",
            "revocation_endpoint": f"{base}{reverse('oauth-revoke')}",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "revocation_endpoint_auth_methods_supported": ["none"],
            "authorization_response_iss_parameter_supported": True,
            "scopes_supported": list(known_scopes()),
        }
    )


@csrf_exempt  # no cookie counts here
@_open
@require_POST
@_limited("agents:register", REGISTRATIONS)
def register(request: HttpRequest) -> HttpResponse:
    """RFC 7591: a client makes itself known."""
    try:
        client = clients.register(orjson.loads(request.body))
    except orjson.JSONDecodeError:
        return _refused(400, "invalid_client_metadata", "Expected JSON.")
    except clients.ClientRefusedError as error:
        return _refused(400, error.code, error.message)
    made = {
        "client_id": str(client.client_id),
        "client_id_issued_at": int(client.created_at.timestamp()),
        "client_name": client.name,
        "redirect_uris": client.redirect_uris,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }
    return JsonResponse(made, status=201, headers=NOT_KEPT)


@csrf_exempt  # the code, and its verifier, are what proves the client
@_open
@require_POST
@_limited("agents:token", TOKEN_REQUESTS)
@transaction.atomic
def token(request: HttpRequest) -> HttpResponse:
    """Tokens for a code, or new ones for a refresh token."""
    forget_old()
    return _of_library(request, "create_token_response")


@csrf_exempt
@_open
@require_POST
@_limited("agents:token", TOKEN_REQUESTS)
@transaction.atomic
def revoke(request: HttpRequest) -> HttpResponse:
    """RFC 7009: the client gives its grant back."""
    return _of_library(request, "create_revocation_response")


def _server() -> Any:
    # oauthlib: only for whoever has AI clients that ask for consent.
    from core.agents.consents import ConsentServer

    return ConsentServer()


def _of_library(request: HttpRequest, name: str) -> HttpResponse:
    from oauthlib.oauth2 import OAuth2Error

    if not _is_readable(request):
        return _refused(400, "invalid_request", UNREADABLE)
    body = request.POST.urlencode()
    try:
        headers, text, status = getattr(_server(), name)(_uri(request), "POST", body, {})
    except OAuth2Error as error:
        headers, text, status = {}, error.json, error.status_code
    headers = {key: value for key, value in headers.items() if not key.startswith("Access-Control")}
    content_type = headers.pop("Content-Type", "application/json")
    return HttpResponse(text or "", status=status, content_type=content_type, headers=NOT_KEPT | headers)


def _is_readable(request: HttpRequest) -> bool:
    """Whether the address is one that oauthlib reads: it takes no characters that should be escaped."""
    from oauthlib.common import urldecode

    try:
        urldecode(request.META.get("QUERY_STRING", ""))
    except ValueError:
        return False
    return True


def _uri(request: HttpRequest) -> str:
    query = request.META.get("QUERY_STRING", "")
    return f"{public_url()}{request.path}" + (f"?{query}" if query else "")


@csrf_protect
@never_cache
@_open
@require_http_methods(["GET", "POST"])
def authorize(request: HttpRequest) -> HttpResponse:
    """The page that asks who is signed in, and where the answer leads back to the client. Nobody is sent
    anywhere else before they have signed in and answered (RFC 9700, 4.11.2)."""
    from oauthlib.oauth2 import OAuth2Error

    if not _is_readable(request):
        return _wrong(request, UNREADABLE)
    if not request.user.is_authenticated:
        return HttpResponseRedirect(
            f"{reverse('oauth-login')}?{urlencode({'next': request.get_full_path()})}"
        )
    server = _server()
    try:
        scopes, asked = server.validate_authorization_request(_uri(request), "GET")
    except OAuth2Error as error:
        return _wrong(request, error.description or error.error, _address_of(error))
    if request.method == "POST":
        return _decided(request, server, scopes, asked)
    return _asked(request, scopes, asked)


def _address_of(error: Any) -> str:
    """Where an error would be taken to, with it; "" where no address can be trusted."""
    from oauthlib.oauth2 import FatalClientError

    return "" if isinstance(error, FatalClientError) else _answered(error.in_uri(error.redirect_uri))


def _wrong(request: HttpRequest, reason: str, back: str = "") -> HttpResponse:
    """The page that says so; it leads back to the client only by a click."""
    shown = {"reason": reason, "back": back, "host": _host(back)}
    return _page(request, "agents/refused.html", shown, status=400)


def _host(uri: str) -> str:
    target = urlsplit(uri)
    return target.netloc or f"{target.scheme}:"


def _asked(request: HttpRequest, scopes: list[str], asked: Mapping[str, Any]) -> HttpResponse:
    client = asked["request"].client
    target = urlsplit(asked["redirect_uri"])
    shown = {
        "client": client,
        "host": _host(asked["redirect_uri"]),
        "is_here": target.hostname in clients.LOOPBACK,
        "scopes": [in_words(scope) for scope in scopes],
        "writes": any(scope.endswith(WRITE) for scope in scopes),
        "reads_per_hour": conf.AGENT_READS_PER_HOUR,
        "writes_per_hour": conf.AGENT_WRITES_PER_HOUR,
        "days": settings.JWT_SESSION_LIFETIME.days,
    }
    origin = f"{target.scheme}://{target.netloc}" if target.netloc else f"{target.scheme}:"
    return _page(request, "agents/consent.html", shown, origin)


def _decided(request: HttpRequest, server: Any, scopes: list[str], asked: Mapping[str, Any]) -> HttpResponse:
    if request.POST.get("decision") != "allow":
        denied = {"error": "access_denied"} | ({"state": asked["state"]} if asked["state"] else {})
        return _back(_with_query(asked["redirect_uri"], denied))
    granted = scopes if request.POST.get("access") == WRITE else _reading(scopes)
    with transaction.atomic():
        headers, _, _ = server.create_authorization_response(
            _uri(request), "GET", None, {}, granted, {"user": request.user}
        )
    return _back(headers["Location"])


def _reading(scopes: list[str]) -> list[str]:
    """The scopes, for reading alone."""
    return list(dict.fromkeys(reading(scope) for scope in scopes))


def _back(uri: str) -> HttpResponse:
    """To the client, with who answers (RFC 9207)."""
    response = HttpResponse(status=302)
    response["Location"] = _answered(uri)
    response["Referrer-Policy"] = "no-referrer"
    return response


def _answered(uri: str) -> str:
    return _with_query(uri, {"iss": public_url()})


def _with_query(uri: str, added: Mapping[str, str]) -> str:
    parts = urlsplit(uri)
    return parts._replace(query=urlencode([*parse_qsl(parts.query), *added.items()])).geturl()


def _page(
    request: HttpRequest, template: str, shown: Mapping[str, Any], target: str = "", status: int = 200
) -> HttpResponse:
    made = render(request, template, {"site": settings.SITE_NAME, **shown}, status=status)
    made["Content-Security-Policy"] = PAGE_POLICY.format(target=f" {target}" if target else "")
    made["Referrer-Policy"] = "no-referrer"
    return made


class SignInForm(LoginForm):
    """The admin site's form, with its limits and the second factor, for everyone and not for staff alone."""

    def confirm_login_allowed(self, user: Any) -> None:
        auth_forms.AuthenticationForm.confirm_login_allowed(self, user)


class SignIn(LoginView):
    """Where who is to consent signs in."""

    form_class = SignInForm
    template_name = "agents/login.html"
    extra_context = {"site": settings.SITE_NAME}

    def get_default_redirect_url(self) -> str:
        """Who came here by themselves: the admin site is for staff alone."""
        user: Any = self.request.user
        return reverse("admin:index" if user.is_staff else "docs")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if not settings.MCP_ENABLED:
            raise Http404
        response = super().dispatch(request, *args, **kwargs)
        # Its one script asks for a passkey.
        policy = PAGE_POLICY.format(target="") + "; script-src 'self'; connect-src 'self'"
        response["Content-Security-Policy"] = policy
        return response
