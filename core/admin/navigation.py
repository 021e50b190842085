"""The side bar: pages by the job that they are for, each shown to whoever may open it.

A page (a ModelAdmin) says where it stands by its `menu`; one without, as those of other packages, is a system
table, and these stand last and folded.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from core.registry import Registry

SELL, AUTOMATE, DATA, PEOPLE, SYSTEM, TABLES = "sell", "automate", "data", "people", "system", "tables"
TITLES = {
    SELL: _("Sell"),
    AUTOMATE: _("Automate"),
    DATA: _("Data"),
    PEOPLE: _("People"),
    SYSTEM: _("System"),
    TABLES: _("Scheduler tables"),
}
FOLDED = {SYSTEM, TABLES}


@dataclass(frozen=True)
class Menu:
    """Where a page stands: its group, its icon (a name of Material Symbols) and its place in the group."""

    group: str
    icon: str
    position: int = 50


@dataclass(frozen=True)
class Link:
    """A page of the side bar that is not a model's list: the name of its route, and its title."""

    menu: Menu
    title: Any
    route: str


links: Registry[Link] = Registry("link of the side bar")
UNPLACED = Menu(TABLES, "table")


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups that unfold draws (its setting SIDEBAR.navigation)."""
    placed = sorted(_items(request), key=lambda found: (found[0].position, str(found[1]["title"])))
    home = {"title": _("Home"), "icon": "home", "link": reverse("admin:index")}
    groups: list[dict[str, Any]] = [{"items": [home]}]
    for key, title in TITLES.items():
        items = [item for menu, item in placed if menu.group == key]
        if items:
            groups.append({"title": title, "collapsible": key in FOLDED, "items": items})
    _mark_active(groups, request.path)
    return groups


def _mark_active(groups: list[dict[str, Any]], address: str) -> None:
    """The one item whose page this is, or is below: of Goals and the reports below it the nearer one."""
    items = [item for group in groups for item in group["items"]]
    home = reverse("admin:index")
    above = [
        item
        for item in items
        if address == item["link"] or (item["link"] != home and address.startswith(item["link"]))
    ]
    nearest = max(above, key=lambda item: len(item["link"]))["link"] if above else ""
    for item in items:
        item["active"] = item["link"] == nearest


def _items(request: HttpRequest) -> Iterator[tuple[Menu, dict[str, Any]]]:
    for model, page in admin.site._registry.items():
        if page.has_module_permission(request) and page.has_view_permission(request):
            menu = getattr(page, "menu", UNPLACED)
            title = capfirst(getattr(page, "menu_title", "") or model._meta.verbose_name_plural)
            address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
            yield menu, {"title": title, "icon": menu.icon, "link": address}
    for link in links:
        yield link.menu, {"title": link.title, "icon": link.menu.icon, "link": reverse(link.route)}
