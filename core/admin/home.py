"""Home, the first page of the admin site: what its reader has to do and how things stand.

Apps and rooms register `parts`; each answers for one user by a fixed number of statements, through
`visible_to`. Every number and every line is a link to what stands behind it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.db.models import Model, Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from core.access import Permission, Role, role_allows, role_of
from core.registry import Registry

# Lines of a panel; its heading counts all of them and leads to the rest.
LINES = 6


@dataclass(frozen=True)
class Figure:
    """A number, the list behind it, and whether it asks for attention (a tone of core.admin.formats)."""

    label: str
    value: str
    url: str
    detail: str = ""
    tone: str = ""


@dataclass(frozen=True)
class PanelLine:
    """One thing of a panel, on its own page. `share` draws it as a bar of so many percent."""

    title: str
    url: str
    detail: Any = ""
    badge: Any = ""
    share: int | None = None
    # Where it is ticked off, and of which record's page that is said.
    tick_url: str = ""
    tick_of: str = ""


@dataclass(frozen=True)
class Panel:
    """A list of what matters, `count` of them in all, with the words for having none."""

    title: str
    icon: str
    url: str
    lines: Sequence[PanelLine]
    empty: str
    count: int | None = None
    add_url: str = ""
    # What was just done in it, or why not.
    said: str = ""


@dataclass(frozen=True)
class HomePart:
    """What one app or room shows: numbers, the reader's own day, the team's and the system's state."""

    figures: Sequence[Figure] = ()
    day: Sequence[Panel] = ()
    team: Sequence[Panel] = ()
    system: Sequence[Panel] = ()


@dataclass(frozen=True)
class Builder:
    """Makes a part for a user; parts stand in the order of `position`."""

    position: int
    build: Callable[[Any], HomePart]


parts: Registry[Builder] = Registry("part of the home page")


@dataclass
class Home:
    figures: list[Figure] = field(default_factory=list)
    day: list[Panel] = field(default_factory=list)
    team: list[Panel] = field(default_factory=list)
    system: list[Panel] = field(default_factory=list)


def context(request: HttpRequest, given: dict[str, Any]) -> dict[str, Any]:
    """What the template draws (unfold's setting DASHBOARD_CALLBACK)."""
    user = request.user
    return given | {
        "title": _("Home"),
        "home": home_of(user),
        "greeting": greeting(user),
        "today": timezone.localdate(),
    }


def home_of(user: Any) -> Home:
    """All parts for `user`; of the day only who changes records has one, of a team only who leads one."""
    home = Home()
    for builder in sorted(parts, key=lambda found: found.position):
        part = builder.build(user)
        home.figures += part.figures
        home.day += part.day
        home.team += part.team
        home.system += part.system
    return home


def greeting(user: Any) -> str:
    """By the hour where the user is."""
    hour = timezone.localtime(timezone=user.zone).hour
    words = _("Good morning") if hour < 12 else _("Good afternoon") if hour < 18 else _("Good evening")
    return f"{words}, {user.first_name or user.get_full_name()}"


def mine(user: Any) -> Q:
    """What falls to the user: assigned to them, or owned and assigned to nobody."""
    return Q(assigned_to=user.pk) | Q(assigned_to=None, owner=user.pk)


def has_day(user: Any) -> bool:
    """Whether the user works on records; a viewer looks."""
    return role_allows(user, Permission.CHANGE)


def has_team(user: Any) -> bool:
    return role_of(user) in (Role.ADMIN, Role.MANAGER, Role.VIEWER)


def runs_system(user: Any) -> bool:
    return role_of(user) == Role.ADMIN


def list_url(model: type[Model], **filters: Any) -> str:
    """The address of a model's list with these filters."""
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return f"{address}?{urlencode(filters)}" if filters else address


def page_url(model: type[Model], pk: Any) -> str:
    """The address of one row's page."""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[pk])


def add_url(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")
