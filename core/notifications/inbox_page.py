"""The inbox in the admin site: one's notifications, how many are unread, and web push for this browser."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from rest_framework.exceptions import ValidationError

from core import labels
from core.accounts import cookies, tickets
from core.accounts.tickets import Principal
from core.admin import formats
from core.admin.home import page_url
from core.admin.pages import pages
from core.entities import entities
from core.errors import DomainError
from core.notifications import inbox, planning
from core.notifications.api.push import PushSubscriptionSerializer
from core.notifications.channels import push
from core.notifications.models import Notification, PushSubscription
from core.notifications.types import types
from core.notifications.wording import body_of, title_of

SHOWN = 25
UNREAD, ALL = "unread", "all"
# What is no record has its page where its name says, by another name of the model here.
MODELS = {"import": "importjob"}
ICONS = {
    "mention": "alternate_email",
    "assignment": "assignment_ind",
    "share": "group",
    "comment": "comment",
    "reminder": "alarm",
    "overdue": "assignment_late",
    "score": "speed",
    "workflow": "account_tree",
    "workflow_failed": "error",
    "import_finished": "upload_file",
    "digest": "newspaper",
}


@dataclass(frozen=True)
class InboxLine:
    """What the page shows of one notification."""

    pk: int
    kind: str
    icon: str
    title: str
    body: str
    at: Any
    is_read: bool
    url: str


def type_title(name: str) -> str:
    """What notifications of a type are called, as the preferences call them."""
    found = types.get(name)
    return labels.label(found.label) if found else labels.titled(name)


def page(request: HttpRequest) -> HttpResponse:
    """GET: the list, or that alone for htmx. POST: do what a button of it asks for."""
    if request.method == "POST":
        return _VERBS.get(request.POST.get("do", ""), _unknown)(request)
    shown = ALL if request.GET.get("show") == ALL else UNREAD
    start = _start(request)
    rows = list(_rows(request.user, shown)[start : start + SHOWN + 1])
    context = {
        "lines": _lines(rows[:SHOWN]),
        "shown": shown,
        "tabs": [(UNREAD, _("Unread")), (ALL, _("All"))],
        "older": start + SHOWN if len(rows) > SHOWN else None,
        "newer": max(start - SHOWN, 0) if start else None,
        "address": request.get_full_path(),
    }
    if "HX-Request" in request.headers:
        return TemplateResponse(request, "admin/core/inbox_list.html", context)
    around = {**admin.site.each_context(request), "title": _("Notifications")}
    return TemplateResponse(request, "admin/core/inbox.html", around | context)


def _start(request: HttpRequest) -> int:
    text = request.GET.get("from", "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0


def _rows(user: Any, shown: str) -> QuerySet[Notification]:
    rows = inbox.visible(user).filter(archived_at=None)
    return rows.filter(read_at=None) if shown == UNREAD else rows


def _lines(rows: Sequence[Notification]) -> list[InboxLine]:
    return [
        InboxLine(
            row.pk,
            type_title(row.type),
            ICONS.get(row.type, "notifications"),
            title_of(row),
            body_of(row),
            formats.when(row.created_at),
            row.read_at is not None,
            address_of(row),
        )
        for row in rows
    ]


def address_of(row: Notification) -> str:
    """The page of what a notification is about; "" where there is none."""
    if row.object_id is None:
        return ""
    if row.entity in entities:
        return page_url(entities[row.entity].model, row.object_id)
    try:
        name = MODELS.get(row.entity, row.entity)
        return reverse(f"admin:core_{name}_change", args=[row.object_id])
    except NoReverseMatch:
        return ""


def _read(request: HttpRequest) -> HttpResponse:
    return _marked(request, timezone.now())


def _unread(request: HttpRequest) -> HttpResponse:
    return _marked(request, None)


def _marked(request: HttpRequest, value: Any) -> HttpResponse:
    row = _row(request)
    if (row.read_at is None) != (value is None):
        inbox.mark(row, "read_at", value)
    return _back(request)


def _open(request: HttpRequest) -> HttpResponse:
    """Read it and go to what it is about."""
    row = _row(request)
    if row.read_at is None:
        inbox.mark(row, "read_at", timezone.now())
    return HttpResponseRedirect(address_of(row) or reverse("admin-inbox"))


def _archive(request: HttpRequest) -> HttpResponse:
    row = _row(request)
    if row.archived_at is None:
        inbox.mark(row, "archived_at", timezone.now())
    return _back(request)


def _read_all(request: HttpRequest) -> HttpResponse:
    count = inbox.read_all(request.user)
    words = ngettext(
        "%(n)s notification was marked as read.", "%(n)s notifications were marked as read.", count
    ) % {"n": count}
    messages.success(request, words)
    return _back(request)


def _row(request: HttpRequest) -> Notification:
    """The notification that a button is about. Raises Http404."""
    text = request.POST.get("id", "")
    known = text.isascii() and text.isdigit() and len(text) < 19
    row = inbox.visible(request.user).filter(pk=text).first() if known else None
    if row is None:
        raise Http404
    return row


def _back(request: HttpRequest) -> HttpResponse:
    """To where one was in the list."""
    query = request.GET.urlencode()
    return HttpResponseRedirect(f"{request.path}?{query}" if query else request.path)


def _subscribe(request: HttpRequest) -> HttpResponse:
    """Have this browser take web push, as the API does."""
    try:
        data = orjson.loads(request.POST.get("subscription", ""))
        serializer = PushSubscriptionSerializer(data=data, context={"request": request})
        serializer.is_valid(raise_exception=True)
        with transaction.atomic():
            serializer.save()
    except (ValueError, ValidationError, DomainError):
        return JsonResponse({}, status=400)
    return JsonResponse({})


def _unsubscribe(request: HttpRequest) -> HttpResponse:
    endpoint = request.POST.get("endpoint", "")[:1_000]
    PushSubscription.objects.filter(user=request.user.pk, endpoint=endpoint).delete()
    return JsonResponse({})


def _test(request: HttpRequest) -> HttpResponse:
    planning.push_test(request.user)
    return JsonResponse({})


def _unknown(request: HttpRequest) -> HttpResponse:
    raise Http404


_VERBS = {
    "read": _read,
    "unread": _unread,
    "open": _open,
    "archive": _archive,
    "read_all": _read_all,
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
    "test": _test,
}


def live(request: HttpRequest) -> JsonResponse:
    """How many are unread, in words as well; with `?ticket=1` the address of the WebSocket, with
    `?push=1` the key that browsers subscribe to web push with."""
    found = inbox.counts(request.user)
    answer = {
        "unread": found["unread"],
        "shown": f"{found['unread']}+" if found["capped"] else str(found["unread"]),
        "label": _words(found["unread"]),
    }
    if "ticket" in request.GET:
        principal = Principal(request.user.pk, session_id=request.session.get(cookies.NAME))  # type: ignore[arg-type]
        answer["url"] = f"/ws/notifications/?ticket={tickets.issue(principal)}"
    if "push" in request.GET:
        answer["key"] = push.public_key()
    return JsonResponse(answer, headers={"Cache-Control": "no-store"})


def _words(unread: int) -> str:
    if not unread:
        return _("Notifications, none unread")
    return ngettext("Notifications, %(n)s unread", "Notifications, %(n)s unread", unread) % {"n": unread}


pages.register("inbox", page)
pages.register("inbox-live", live)
