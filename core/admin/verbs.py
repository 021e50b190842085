"""Verbs on records that ask something first: a page with a form, which does it when it is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import gettext, gettext_lazy
from unfold.widgets import UnfoldAdminSelectWidget

from core.access import can_change_records
from core.admin.people import PeopleField
from core.entities.assignment import METHODS
from core.entities.bulk import BulkResult
from core.entities.references import referable
from core.labels import lazy_title

SENT = "verb_sent"
# The form as it is, sent to see what it would do.
PREVIEW = "verb_preview"
NAMED = 3


@dataclass(frozen=True)
class Preview:
    """What would be done: numbers by row and column, with notes below; `empty` where there is no row."""

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[int]]]
    notes: Sequence[str] = ()
    empty: str = ""


def is_preview(request: HttpRequest) -> bool:
    return PREVIEW in request.POST


class VerbForm(forms.Form):
    """Base: nothing to ask but whether one is sure. Bound only when its own page was sent."""

    def __init__(self, request: HttpRequest, **options: Any) -> None:
        self.request = request
        sent = request.method == "POST" and SENT in request.POST
        super().__init__(request.POST if sent else None, **options)


class AssignForm(VerbForm):
    """To whom, and by which method where several are named."""

    users = PeopleField(queryset=None, label=gettext_lazy("Users"))
    method = forms.ChoiceField(
        label=gettext_lazy("Method"),
        choices=[(name, lazy_title(name)) for name in METHODS],
        widget=UnfoldAdminSelectWidget,
        help_text=gettext_lazy("How several users share the records."),
    )

    def __init__(self, request: HttpRequest, **options: Any) -> None:
        super().__init__(request, **options)
        users = cast(PeopleField, self.fields["users"])
        users.queryset = referable("user", request.user).filter(can_change_records()).order_by("username")


def page(
    admin: Any,
    request: HttpRequest,
    title: str,
    form: forms.Form,
    records: list[Any],
    hidden: dict[str, Any],
    *,
    preview: Sequence[Preview] | None = None,
) -> TemplateResponse:
    """The page that asks; `hidden` goes back with the answer. A `preview` follows what is chosen."""
    if preview is not None and is_preview(request):
        return TemplateResponse(request, "admin/core/verb_preview.html", {"previews": preview})
    context = {
        **admin.admin_site.each_context(request),
        "title": title,
        "opts": admin.opts,
        "form": form,
        "records": records,
        "hidden": [*hidden.items(), (SENT, "1")],
        "media": admin.media + form.media,
        "previews": preview,
    }
    return TemplateResponse(request, "admin/core/verb.html", context)


def selection(request: HttpRequest, action: str) -> dict[str, Any]:
    """What an action of a list has to be sent again with to mean the same records."""
    kept = {"action": action, "select_across": request.POST.get("select_across", "0")}
    return kept | {ACTION_CHECKBOX_NAME: request.POST.getlist(ACTION_CHECKBOX_NAME)}


def report(admin: Any, request: HttpRequest, done: str, result: BulkResult) -> None:
    """Tell how many were done and why others were not."""
    if result.done:
        admin.message_user(request, f"{len(result.done)} {done}.", messages.SUCCESS)
    if result.failed:
        shown = list(result.failed.items())[:NAMED]
        rows = admin.get_queryset(request).filter(pk__in=[pk for pk, _ in shown])
        names = {row.pk: str(row) for row in rows}
        reasons = "; ".join(f"{names.get(pk, pk)}: {message}" for pk, (_, message) in shown)
        more = " …" if len(result.failed) > NAMED else ""
        admin.message_user(
            request,
            gettext("%(count)s not %(done)s: %(reasons)s%(more)s")
            % {"count": len(result.failed), "done": done, "reasons": reasons, "more": more},
            messages.WARNING,
        )
