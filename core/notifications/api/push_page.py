"""A page to try web push on, with its service worker. It signs in over the API and stores nothing."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Sign in, let this browser take push, send yourself a message."""
    return render(request, "notifications/push.html")


@require_safe
def worker(request: HttpRequest) -> HttpResponse:
    """The service worker, whose place decides that it works below /push alone."""
    made = render(request, "notifications/worker.js", content_type="text/javascript")
    made["Service-Worker-Allowed"] = "/push"
    made["Cache-Control"] = "no-cache"
    return made
