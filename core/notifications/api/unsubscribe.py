"""Ending mails of one kind from the mail itself, without signing in (RFC 8058)."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from core.accounts.models import User
from core.labels import label
from core.notifications import preferences
from core.notifications.channels.email import read_token
from core.notifications.types import types


@csrf_exempt  # the token in the address is what proves; mail programs post without cookies
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest) -> HttpResponse:
    """GET asks, so that no scanner of links unsubscribes anybody; POST does it, as often as it comes."""
    found = read_token(request.GET.get("token", ""))
    user = User.objects.filter(pk=found[0]).first() if found else None
    if user is None or found is None:
        return render(request, "notifications/unsubscribe.html", {"state": "wrong"}, status=400)
    kind = types.get(found[1])
    context = {"state": "ask", "label": label(kind.label) if kind else _("The digest")}
    if request.method == "POST":
        preferences.without_email(user, found[1])
        context["state"] = "done"
    return render(request, "notifications/unsubscribe.html", context)
