"""What notifications say, in the language of their reader.

A notification is stored in English, as the statements write it that make many of them at once. Its wordings
are known here: one is recognised by its text, and put together anew in the reader's language.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from babel.dates import format_date, format_datetime
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import get_language, gettext, gettext_noop, pgettext

from core import labels
from core.admin.formats import locale
from core.notifications.models import Notification
from core.registry import Registry

# Wordings of titles by the type of the notification, the more particular first. What stands for a name of the
# code (`entity`, `entities`, `field`, `value`) and the `label` of a thing is translated too.
_FAILED = (
    gettext_noop("Workflow failed: %(name)s"),
    gettext_noop("Workflow held: %(name)s"),
    gettext_noop("Workflow broken: %(name)s"),
    gettext_noop("Workflow stopped: %(name)s"),
    gettext_noop("Webhook disabled: %(name)s"),
)
_CHANGED = (
    gettext_noop("%(name)s: %(field)s is now %(value)s (%(n)s changes)"),
    gettext_noop("%(name)s: %(field)s is now %(value)s"),
    gettext_noop("%(field)s of %(n)s %(entities)s changed"),
)
TITLES: dict[str, tuple[str, ...]] = {
    "assignment": (
        gettext_noop("%(doer)s assigned you the %(entity)s %(name)s"),
        gettext_noop("%(n)s %(entities)s were assigned to you"),
    ),
    "mention": (gettext_noop("%(doer)s mentioned you on %(name)s"),),
    "comment": (
        gettext_noop("%(n)s new comments on %(name)s"),
        gettext_noop("%(doer)s commented on %(name)s"),
    ),
    "share": (
        gettext_noop("%(doer)s shared the %(entity)s %(name)s with you"),
        gettext_noop("%(n)s %(entities)s were shared with you"),
    ),
    "update": _CHANGED,
    "score": _CHANGED,
    "in_use_deleted": (gettext_noop("%(label)s was deleted, which %(name)s uses"),),
    "import_finished": (
        gettext_noop("Your import of %(entities)s has finished"),
        gettext_noop("Your import of %(entities)s has failed"),
        gettext_noop("Your undoing of an import of %(entities)s has finished"),
        gettext_noop("Your undoing of an import of %(entities)s has failed"),
    ),
    "scoring_failed": (gettext_noop("Training the %(entity)s scores has failed"),),
    "scoring_suspicion": (gettext_noop("The newest outcomes of %(entities)s look wrong"),),
    "scoring_drift": (gettext_noop("Scores of %(entities)s may no longer hold"),),
    "workflow_failed": _FAILED,
    "workflow": (gettext_noop("%(n)s more from the workflow %(name)s"),),
    "test": (gettext_noop("Web push works"),),
}
# Those of texts below the title. What people wrote (comments, messages of workflows) stays as it is.
BODIES: dict[str, tuple[str, ...]] = {
    "update": (gettext_noop("Changed by %(doer)s"),),
    "score": (gettext_noop("Changed by %(doer)s"),),
    "test": (gettext_noop("This is what a notification looks like."),),
}
ANNOUNCED = (gettext_noop("By %(doer)s"),)
_SHAPES = {"n": "[0-9]+", "entity": r"\w+", "entities": r"\w+"}
_NAMES = {"entity", "entities", "field", "value"}
# What a deleted thing is called (the labels of usage targets); what follows is its own name.
_TARGETS = (
    gettext_noop("Pipeline {name}"),
    gettext_noop("Stage {name}"),
    gettext_noop("Lost reason {name}"),
    gettext_noop("Team {name}"),
    gettext_noop("User {name}"),
    gettext_noop("The template {key}"),
    gettext_noop("The choice {choice}"),
    gettext_noop("The tag {tag}"),
    gettext_noop("The custom field {key}"),
)


@dataclass(frozen=True)
class Wording:
    """That of titles of a type, such as "Reminder: %(name)s"."""

    type: str
    text: str


# Those of reminders and announcements, which their apps add.
added: Registry[Wording] = Registry("wording of a notification")


def add(type: str, text: str) -> None:
    """A wording of titles of this type, with placeholders as TITLES has them."""
    if f"{type}: {text}" not in added:
        added.register(f"{type}: {text}", Wording(type, text))


def _said(text: str, wordings: Iterable[str]) -> str:
    """What a stored text says, in the language in force; as it is stored where none of the wordings fits."""
    if not text or (get_language() or "").startswith(labels.MACHINE_LANGUAGE):
        return text
    for wording in wordings:
        if found := _pattern(wording).fullmatch(text):
            values = {name: _value(name, value) for name, value in found.groupdict().items()}
            return gettext(wording) % values
    return text


def _value(name: str, value: str) -> str:
    if name == "label":
        return _target_said(value)
    return labels.label(value) if name in _NAMES else value


def _target_said(text: str) -> str:
    for wording in _TARGETS:
        before, placeholder = wording[:-1].split("{")
        if text.startswith(before):
            return gettext(wording).format(**{placeholder: text.removeprefix(before)})
    return text


@lru_cache(maxsize=200)
def _pattern(wording: str) -> re.Pattern[str]:
    parts = re.split(r"%\((\w+)\)s", wording)
    made = "".join(
        re.escape(part) if i % 2 == 0 else f"(?P<{part}>{_SHAPES.get(part, '.+')})"
        for i, part in enumerate(parts)
    )
    return re.compile(made, re.DOTALL)


def title_of(row: Notification) -> str:
    """The title in the language in force."""
    if row.type != "digest" or "kind" not in row.data:
        return _said(row.title, _titles(row))
    day = parse_date(row.data["day"])
    words = gettext("Your weekly digest, %(day)s") if row.data["kind"] == "weekly" else _daily()
    # Translators: a pattern of Babel's, as in "Monday 3 March".
    return words % {"day": format_date(day, pgettext("pattern of a date", "EEEE d MMMM"), locale=locale())}


def _titles(row: Notification) -> tuple[str, ...]:
    if row.type == "workflow" and row.body:
        return ()  # the workflow's own words; those that only count have no text
    return (*(one.text for one in added if one.type == row.type), *TITLES.get(row.type, ()))


def _daily() -> str:
    return gettext("Your daily digest, %(day)s")


def body_of(row: Notification) -> str:
    """The text below the title, in the language in force where it is a wording of ours."""
    is_announced = any(one.type == row.type for one in added)
    return _said(row.body, BODIES.get(row.type, ANNOUNCED if is_announced else ()))


def sections_of(row: Notification) -> list[dict[str, Any]]:
    """The sections of a digest, with headings, names of fields and dates in the language in force."""
    return [
        section | {"title": labels.label(section["title"]), "items": list(_items(section["items"]))}
        for section in row.data.get("sections", [])
    ]


def _items(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for item in items:
        details = {labels.label(name): _detail(value) for name, value in item["details"].items()}
        yield item | {"details": details}


def _detail(value: str) -> str:
    moment = parse_datetime(value) if "T" in value else None
    if moment is not None:
        return in_words(moment)
    day = parse_date(value) if len(value) == len("2027-01-31") else None
    return in_words(day) if day is not None else labels.label(value.replace("_", " "))


def in_words(value: date | datetime) -> str:
    """A day or moment as mails write it: "Mon 3 Mar", "Mon 3 Mar 09:00"."""
    pattern = pgettext("pattern of a date", "EEE d MMM")
    if isinstance(value, datetime):
        return str(format_datetime(value, f"{pattern} HH:mm", locale=locale()))
    return str(format_date(value, pattern, locale=locale()))
