"""The pages between this site and the identity provider, and what an app exchanges for tokens.

`/sso/login/` sends the browser to the provider, `/sso/callback/` takes it back: to a page of this site,
signed in by cookie, or to the app at `OIDC_APP_URL` with a code that works once, for a minute, and for
whoever holds the verifier of the challenge that the sign-in began with (as in RFC 7636).
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth import login
from django.core.signing import BadSignature
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from core.accounts import limits
from core.accounts.limits import rate_of
from core.accounts.models import User
from core.accounts.origin import origin_of
from core.accounts.single_sign_on import codes, identities, provider
from core.errors import DomainError

View = Callable[..., HttpResponse]
COOKIE = "crm_sso"
COOKIE_LIFE_S = 600
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}\Z")


class RequestLostError(DomainError):
    """The browser came back without the request that it left with."""

    code = "request_lost"


def _page(view: View) -> View:
    """A page that there is while a provider is configured, that nobody keeps, and that says what failed."""

    @require_GET
    @never_cache
    @wraps(view)
    def run(request: HttpRequest) -> HttpResponse:
        if not provider.is_configured():
            raise Http404
        try:
            _limit(request)
            answer = view(request)
        except DomainError as error:
            status = {"throttled": 429, "provider_refused": 502, "request_lost": 400}.get(error.code, 403)
            shown = {"message": error.message, "site": settings.SITE_NAME}
            answer = render(request, "accounts/single_sign_on.html", shown, status=status)
        answer["Referrer-Policy"] = "no-referrer"
        return answer

    return run


def _limit(request: HttpRequest) -> None:
    """As often as anybody may ask who is not signed in. Raises DomainError."""
    if not settings.RATE_LIMIT_ENABLED:
        return
    key = f"single-sign-on:{origin_of(request).network}"
    result = limits.consume(key, rate_of(settings.ANONYMOUS_RATE_LIMIT), local=True)
    if result and not result.allowed:
        raise DomainError(_("Too many attempts; wait a minute."), code="throttled")


@_page
def begin(request: HttpRequest) -> HttpResponse:
    """To the provider: `?next=` a page of this site, or `?code_challenge=` for the app at OIDC_APP_URL."""
    challenge = request.GET.get("code_challenge", "")
    if challenge and not (settings.OIDC_APP_URL and _CHALLENGE.match(challenge)):
        raise RequestLostError(_("The challenge is not one of S256, or no app is configured."))
    address, asked = provider.begin(_callback())
    kept = json.dumps(asdict(asked) | {"next": request.GET.get("next", "")[:2000], "challenge": challenge})
    answer = HttpResponseRedirect(address)
    answer.set_signed_cookie(
        COOKIE,
        kept,
        max_age=COOKIE_LIFE_S,
        httponly=True,
        samesite="Lax",  # the provider sends the browser back by a link
        secure=settings.SESSION_COOKIE_SECURE,
        path=reverse("sso-callback"),
    )
    return answer


@_page
def callback(request: HttpRequest) -> HttpResponse:
    """Back from the provider."""
    kept = _kept(request)
    if "error" in request.GET:
        raise identities.NotAdmittedError(_("The identity provider refused the sign-in."))
    asked = provider.AuthenticationRequest(kept["state"], kept["nonce"], kept["code_verifier"])
    claims = provider.claims(asked, _callback(), request.GET.get("code", ""))
    user = identities.user_of(claims)
    proven = identities.proves_second_factor(claims)
    answer = (
        _to_app(user, proven, kept["challenge"])
        if kept["challenge"]
        else _to_site(request, user, proven, kept)
    )
    answer.delete_cookie(COOKIE, path=reverse("sso-callback"), samesite="Lax")
    return answer


def _kept(request: HttpRequest) -> Mapping[str, Any]:
    """What the browser left with. Raises RequestLostError where it is another browser, or came too late."""
    try:
        kept = json.loads(request.get_signed_cookie(COOKIE, "", max_age=COOKIE_LIFE_S) or "")
    except (BadSignature, ValueError):
        kept = {"state": ""}
    if not kept["state"] or not constant_time_compare(kept["state"], request.GET.get("state", "")):
        raise RequestLostError(
            _("This sign-in was not begun in this browser, or took too long. Begin again.")
        )
    return kept


def _to_site(request: HttpRequest, user: User, proven: bool, kept: Mapping[str, Any]) -> HttpResponse:
    if not user.is_staff:
        raise identities.NotAdmittedError(
            _("This account may use the API and not this site."), code="no_access"
        )
    login(request, user)
    request.second_factor_proven = proven  # type: ignore[attr-defined]  # for the session (core.accounts.cookies)
    here = {request.get_host()}
    ours = url_has_allowed_host_and_scheme(kept["next"], here, require_https=request.is_secure())
    return HttpResponseRedirect(kept["next"] if ours else reverse("admin:index"))


def _to_app(user: User, proven: bool, challenge: str) -> HttpResponse:
    code = codes.issue(user, proven, challenge)
    # Behind the #, where no server and no log sees it.
    return HttpResponseRedirect(f"{settings.OIDC_APP_URL}#{urlencode({'code': code})}")


def _callback() -> str:
    return f"{settings.PUBLIC_URL.rstrip('/')}{reverse('sso-callback')}"
