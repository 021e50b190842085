"""The calendar feed over HTTP."""

import hashlib
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiTypes, extend_schema
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission, scopes
from core.api.bodies import takes_no_body
from core.api.viewsets import CrmViewSet
from core.errors import NotVisibleError
from tasks import calendar
from tasks.api.serializers import CalendarAddressSerializer, CalendarFeedSerializer
from tasks.models import CalendarFeed


class CalendarViewSet(CrmViewSet):
    """Your tasks as a calendar that other programs subscribe to."""

    policy = CalendarFeed.policy
    action_permissions = {"create": Permission.VIEW, "remove": Permission.VIEW}
    secret_answers = {"create": ("url",)}
    lookup_value_regex = r"[A-Za-z0-9_\-]{43}"

    @extend_schema(responses=CalendarFeedSerializer)
    def list(self, request: Request) -> Response:
        """Whether you have a calendar feed, and when it was last read."""
        user: Any = request.user
        found = CalendarFeed.objects.filter(user=user).first()
        names = ("created_at", "last_used_at")
        return Response({"enabled": found is not None, **{n: getattr(found, n, None) for n in names}})

    @extend_schema(request=None, responses={201: CalendarAddressSerializer})
    @takes_no_body
    def create(self, request: Request) -> Response:
        """Create a feed address, shown only once; an earlier one stops working."""
        user: Any = request.user
        scopes.require(user, "tasks")
        secret = calendar.open_feed(user)
        url = f"{settings.PUBLIC_URL.rstrip('/')}/api/v1/calendar/{secret}/tasks.ics"
        return Response({"url": url}, 201)

    @extend_schema(request=None, responses={204: None})
    @action(methods=["post"], detail=False)
    @takes_no_body
    def remove(self, request: Request) -> Response:
        """Remove the feed address."""
        user: Any = request.user
        CalendarFeed.objects.filter(user=user).delete()
        return Response(status=204)

    @extend_schema(responses={(200, "text/calendar"): OpenApiTypes.STR})
    @action(
        methods=["get"],
        detail=True,
        url_path=r"tasks\.ics",
        permission_classes=[AllowAny],
        authentication_classes=[],
    )
    def ics(self, request: Request, pk: str) -> Any:
        """Read the calendar; the secret in the address is the only credential."""
        feed = calendar.feed_of(pk)
        if feed is None:
            raise NotVisibleError(_("There is no such calendar."))
        body = calendar.calendar(feed.user)
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {"ETag": etag, "Cache-Control": "private, max-age=300", "Referrer-Policy": "no-referrer"}
        if etag in request.headers.get("If-None-Match", ""):
            return HttpResponse(status=304, headers=headers)
        return HttpResponse(body, content_type="text/calendar; charset=utf-8", headers=headers)
