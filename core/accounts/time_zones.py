"""Pages of the admin site show and read times in the zone of the user."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone


class TimeZoneMiddleware:
    """Has the signed-in user's zone in force for the admin site; the API's times name their own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with timezone.override(None):  # whatever the view activates ends with it
            return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        # By address: pages that stand beside Django's own (`admin-calendar`) have a name of their own.
        if request.path.startswith(reverse("admin:index")) and request.user.is_authenticated:
            timezone.activate(request.user.zone)
