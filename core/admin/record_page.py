"""What stands on a record's page around its form: a summary, what belongs to it, forms to log what was done,
and its timeline. Rooms and apps above register what they have for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.utils.translation import gettext as _

from core.access import Permission, role_allows
from core.admin import formats
from core.admin.change_words import ChangeWords, Difference
from core.admin.home import Panel, page_url
from core.changes import timeline
from core.changes.timeline import RecordRef, TimelineQuery
from core.entities import entity_of
from core.registry import Registry

ENTRIES = 20

# Makes a panel of what belongs to a record; None where records of its kind have no such thing.
PanelBuilder = Callable[[Any, Any], Panel | None]
related: Registry[PanelBuilder] = Registry("panel of a record's page")


@dataclass(frozen=True)
class LogForm:
    """A form that adds something to a record's timeline; `perform` stores what it checked and may raise
    DomainError. `make` takes the sent data or None."""

    title: Any
    icon: str
    make: Callable[[Any], forms.Form]
    perform: Callable[[Any, Any, forms.Form], None]


# By name; they stand on the page in the order of their names.
log_forms: Registry[LogForm] = Registry("form of a record's page")


@dataclass(frozen=True)
class Fact:
    """One thing of the summary; `url` leads to what it names."""

    label: Any
    text: Any
    url: str = ""


@dataclass(frozen=True)
class Reason:
    """One signed reason of a score; `share` in percent of the strongest."""

    text: str
    points: float
    share: int


@dataclass(frozen=True)
class Summary:
    """What matters about a record, above its form."""

    badges: Sequence[Any] = ()
    facts: Sequence[Fact] = ()
    reasons: Sequence[Reason] = ()
    score: Any = None
    score_detail: str = ""


@dataclass(frozen=True)
class Item:
    """One entry of the timeline."""

    icon: str
    who: str
    title: str
    at: Any
    ago: str
    body: str = ""
    differences: Sequence[Difference] = field(default_factory=tuple)


# Icons of timeline entries by their type or kind; who adds a source of the timeline registers its own.
icons: Registry[str] = Registry("icon of a timeline entry")
icons.register("change", "edit")


def mail(address: str) -> Fact:
    return Fact(_("E-mail"), address, f"mailto:{address}")


def phone(number: str, label: Any = "") -> Fact:
    return Fact(label or _("Phone"), number, f"tel:{number}")


def link(label: Any, found: Any) -> Fact:
    """A fact that leads to the page of another record, where one sees that."""
    return Fact(label, str(found), "" if found.is_unseen else page_url(type(found), found.pk))


def panels(record: Any, user: Any) -> list[Panel]:
    """What belongs to the record, as far as the user sees it."""
    return [panel for build in related if (panel := build(record, user)) is not None]


def may_log(user: Any) -> bool:
    return role_allows(user, Permission.ADD)


def items(record: Any, user: Any) -> list[Item]:
    """The newest entries of the record's timeline, in words."""
    entity = entity_of(record).for_user(user)
    found, _positions = timeline.page(RecordRef(entity, record.pk, user), TimelineQuery(), {}, ENTRIES)
    changes = [entry["data"].get("changes") or {} for entry in found if entry["kind"] == "change"]
    words = ChangeWords(entity, user, changes)
    return [_item(entry, words) for entry in found]


def _item(entry: dict[str, Any], words: ChangeWords) -> Item:
    data = entry.get("data") or {}
    changes = data.get("changes") or {} if entry["kind"] == "change" else {}
    actor = entry.get("actor")
    nobody = _("Automation") if data.get("execution_id") else _("The system") if changes else ""
    who = actor["full_name"] if actor else nobody
    icon = icons.get(entry["type"]) or icons.get(entry["kind"]) or "history"
    title = _("changed") if changes else str(entry["title"])
    return Item(
        icon,
        who,
        title,
        entry["at"],
        formats.relative(entry["at"]),
        str(data.get("body") or ""),
        words.of(changes),
    )
