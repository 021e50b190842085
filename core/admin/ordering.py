"""The page on which rows that have a position are put into order: dragged, or moved by keys and buttons.

All of it is saved by one request, unless somebody else changed the order meanwhile. It works without
JavaScript: the buttons then draw the page anew."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from core.errors import ConflictError

UP, DOWN = "up", "down"


@dataclass(frozen=True)
class Ordered:
    """Rows with a `position`, in their order. `name` is what the form calls them."""

    name: str
    title: Any
    rows: QuerySet
    # What stands behind the name of a row.
    detail: Any = None


def order_page(
    admin: Any, request: HttpRequest, title: Any, lists: Sequence[Ordered], back: str
) -> HttpResponse:
    """GET draws the lists; POST moves one row (`do`: up or down, the list, the id) or saves all."""
    shown = [(one, list(one.rows)) for one in lists]
    seen = {one.name: _ids(rows) for one, rows in shown}
    if request.method == "POST":
        seen = {one.name: request.POST.get(f"seen.{one.name}", "") for one in lists}
        shown = [(one, _as_sent(request, one, rows)) for one, rows in shown]
        verb, _dot, rest = request.POST.get("do", "").partition(".")
        if verb not in (UP, DOWN):
            return admin.excused(request, lambda: _saved(admin, request, shown, seen, back))
        name, _dot, pk = rest.rpartition(".")
        shown = [(one, _moved(rows, pk, verb) if one.name == name else rows) for one, rows in shown]
    context = {
        **admin.admin_site.each_context(request),
        "title": title,
        "opts": admin.opts,
        "lists": [
            {
                "of": one,
                "seen": seen[one.name],
                "rows": [(row, one.detail(row) if one.detail else "") for row in rows],
            }
            for one, rows in shown
        ],
        "back": back,
    }
    return TemplateResponse(request, "admin/core/order.html", context)


def _ids(rows: Sequence[Any]) -> str:
    return ",".join(str(row.pk) for row in rows)


def _as_sent(request: HttpRequest, one: Ordered, rows: Sequence[Any]) -> list[Any]:
    """The rows in the order of the form; those that it did not name yet behind the others."""
    place = {pk: i for i, pk in enumerate(request.POST.getlist(f"order.{one.name}"))}
    return sorted(rows, key=lambda row: place.get(str(row.pk), len(place)))


def _moved(rows: list[Any], pk: str, verb: str) -> list[Any]:
    """One row changes places with its neighbour."""
    here = next((i for i, row in enumerate(rows) if str(row.pk) == pk), None)
    there = None if here is None else here + (1 if verb == DOWN else -1)
    made = list(rows)
    if here is not None and there is not None and 0 <= there < len(rows):
        made[here], made[there] = made[there], made[here]
    return made


def _saved(
    admin: Any,
    request: HttpRequest,
    shown: Sequence[tuple[Ordered, list[Any]]],
    seen: dict[str, str],
    back: str,
) -> HttpResponse:
    """Each row gets its place as its position. Raises ConflictError where the order is not the one seen."""
    with transaction.atomic():
        for one, wanted in shown:
            # Sorted here: PostgreSQL sorts before it waits for a lock, by what was there then.
            locked = one.rows.select_for_update(of=("self",))
            present = sorted(locked, key=lambda row: (row.position, row.pk))
            if _ids(present) != seen[one.name]:
                raise ConflictError(_("Somebody else changed this order meanwhile: here it is as it is now."))
            place = {row.pk: i for i, row in enumerate(wanted)}
            for row in present:
                if row.position != place[row.pk]:
                    row.position = place[row.pk]
                    row.save(update_fields=["position"])
    admin.message_user(request, _("The order is saved."), messages.SUCCESS)
    return HttpResponseRedirect(back)
