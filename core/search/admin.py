"""The command palette of the admin site (Ctrl-K): every record one sees and every page one may open."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from core.admin import navigation, recent
from core.admin.home import add_url, page_url
from core.admin.pages import pages
from core.entities import entities
from core.entities.reading import nested_refs
from core.errors import InvalidError
from core.search.finding import find

RECORDS, PAGES = 12, 6


@dataclass(frozen=True)
class PaletteEntry:
    """Something that can be opened."""

    title: str
    kind: str
    icon: str
    url: str


def palette(request: HttpRequest) -> HttpResponse:
    """GET `?q=`: what is found, records first; without words the latest records and all pages."""
    text = request.GET.get("q", "").strip()
    error = ""
    try:
        records = _found(request, text) if text else _recent(request)
    except InvalidError as refused:
        records, error = [], str(refused.issues[0].message)
    context = {
        "groups": [
            (_("Records") if text else _("Recent records"), records),
            (_("Pages"), list(_pages(request, text))),
        ],
        "error": error,
        "text": text,
    }
    return render(request, "admin/core/palette_results.html", context)


pages.register("palette", palette)


def _found(request: HttpRequest, text: str) -> list[PaletteEntry]:
    asked = [entity.for_user(request.user) for entity in entities if entity.model in admin.site._registry]
    hits = find(asked, request.user, text, RECORDS)
    return _named(request, [(hit.entity.name, hit.pk) for hit in hits])


def _recent(request: HttpRequest) -> list[PaletteEntry]:
    return _named(request, [one for one in recent.recent(request) if one[0] in entities])


def _named(request: HttpRequest, refs: Sequence[tuple[str, int]]) -> list[PaletteEntry]:
    """The records that the user sees, by one statement for each entity; in the order given."""
    ids: dict[str, set[int]] = {}
    for name, pk in refs:
        ids.setdefault(name, set()).add(pk)
    titles = {name: nested_refs(name, pks, request.user) for name, pks in ids.items()}
    return [_record(name, pk, titles[name][pk]["name"]) for name, pk in refs if pk in titles[name]]


def _record(name: str, pk: int, title: str) -> PaletteEntry:
    model: Any = entities[name].model
    menu = getattr(admin.site._registry.get(model), "menu", navigation.UNPLACED)
    return PaletteEntry(title, str(capfirst(model._meta.verbose_name)), menu.icon, page_url(model, pk))


def _pages(request: HttpRequest, text: str) -> Iterator[PaletteEntry]:
    """Pages whose title, or whose group's, has all the words; pages that make something where one asks."""
    words = text.casefold().split()
    every = [*_lists(request), *(_additions(request) if words else ())]
    fitting = (one for one in every if all(word in f"{one.title} {one.kind}".casefold() for word in words))
    return islice(fitting, PAGES if words else None)


def _lists(request: HttpRequest) -> Iterator[PaletteEntry]:
    for group in navigation.navigation(request):
        for item in group["items"]:
            yield PaletteEntry(
                str(item["title"]), str(group.get("title", "")), item["icon"], str(item["link"])
            )


def _additions(request: HttpRequest) -> Iterator[PaletteEntry]:
    for model, page in admin.site._registry.items():
        if getattr(page, "menu", None) is not None and page.has_add_permission(request):
            title = _("Add %(what)s") % {"what": model._meta.verbose_name}
            yield PaletteEntry(title, _("New"), "add", add_url(model))
