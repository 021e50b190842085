"""The page that a link for a password leads to. It holds nothing: the token leaves the browser only in the
request that sets the password."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe


@require_safe
@never_cache
def page(request: HttpRequest) -> HttpResponse:
    """Choose a password."""
    made = render(request, "accounts/password.html")
    made["Referrer-Policy"] = "no-referrer"
    return made
