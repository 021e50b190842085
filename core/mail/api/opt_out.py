"""Opting out of mail from the mail itself, without signing in (RFC 8058)."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from core.api.request_ids import request_id_of
from core.changes import audit_context
from core.mail import opt_out as people


@csrf_exempt  # the token in the address is what proves; mail programs post without cookies
@require_http_methods(["GET", "HEAD", "POST"])
def opt_out(request: HttpRequest) -> HttpResponse:
    """GET asks, so that no scanner of links opts anybody out; POST does it, as often as it comes."""
    found = people.read_token(request.GET.get("token", ""))
    state = "ask" if found else "wrong"
    if found and request.method == "POST":
        with audit_context(source="api", request_id=request_id_of(request)):
            state = "done" if people.opt_out(*found) else "wrong"
    return render(request, "mail/opt_out.html", {"state": state}, status=400 if state == "wrong" else 200)
