"""What notifications say, in the language of their reader.

A notification is stored in English, as the statements write it that make many of them at once. Its wordings
are known here: one is recognised by its text, and put together anew in the reader's language.
"""

import re
from collections.abc import Iterator
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

# Wordings of titles, and of texts below them, the more particular first. What stands for a name of the code
# (`entity`, `entities`, `field`, `value`, `things`) is translated too.
WORDINGS = (
    gettext_noop("%(doer)s assigned you the %(entity)s %(name)s"),
    gettext_noop("%(n)s %(entities)s were assigned to you"),
    gettext_noop("%(doer)s mentioned you on %(name)s"),
    gettext_noop("%(n)s new comments on %(name)s"),
    gettext_noop("%(doer)s commented on %(name)s"),
    gettext_noop("%(doer)s shared the %(entity)s %(name)s with you"),
    gettext_noop("%(n)s %(entities)s were shared with you"),
    gettext_noop("%(name)s: %(field)s is now %(value)s (%(n)s changes)"),
    gettext_noop("%(name)s: %(field)s is now %(value)s"),
    gettext_noop("%(field)s of %(n)s %(entities)s changed"),
    gettext_noop("%(label)s was deleted, which %(name)s uses"),
    gettext_noop("Your import of %(entities)s has finished"),
    gettext_noop("Your import of %(entities)s has failed"),
    gettext_noop("Your undoing of an import of %(entities)s has finished"),
    gettext_noop("Your undoing of an import of %(entities)s has failed"),
    gettext_noop("Training the %(entity)s scores has failed"),
    gettext_noop("The newest outcomes of %(entities)s look wrong"),
    gettext_noop("Scores of %(entities)s may no longer hold"),
    gettext_noop("Workflow failed: %(name)s"),
    gettext_noop("Workflow held: %(name)s"),
    gettext_noop("Workflow broken: %(name)s"),
    gettext_noop("Workflow stopped: %(name)s"),
    gettext_noop("Webhook disabled: %(name)s"),
    gettext_noop("%(n)s more from the workflow %(name)s"),
    gettext_noop("Web push works"),
    gettext_noop("This is what a notification looks like."),
    gettext_noop("Changed by %(doer)s"),
    gettext_noop("By %(doer)s"),
)
_SHAPES = {"n": "[0-9]+", "entity": r"\w+", "entities": r"\w+"}
_NAMES = {"entity", "entities", "field", "value", "things"}
# Those of reminders and announcements, which their apps add.
added: Registry[str] = Registry("wording of a notification")


def add(wording: str) -> None:
    """A wording with placeholders as WORDINGS has them, such as "Reminder: %(name)s"."""
    if wording not in added:
        added.register(wording, wording)


def said(text: str) -> str:
    """What a stored text says, in the language in force; as it is stored where no wording fits."""
    if not text or (get_language() or "").startswith(labels.MACHINE_LANGUAGE):
        return text
    for wording in (*added, *WORDINGS):
        if found := _pattern(wording).fullmatch(text):
            values = {name: _value(name, value) for name, value in found.groupdict().items()}
            return gettext(wording) % values
    return text


def _value(name: str, value: str) -> str:
    return labels.label(value) if name in _NAMES else value


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
        return said(row.title)
    day = parse_date(row.data["day"])
    words = gettext("Your weekly digest, %(day)s") if row.data["kind"] == "weekly" else _daily()
    # Translators: a pattern of Babel's, as in "Monday 3 March".
    return words % {"day": format_date(day, pgettext("pattern of a date", "EEEE d MMMM"), locale=locale())}


def _daily() -> str:
    return gettext("Your daily digest, %(day)s")


def body_of(row: Notification) -> str:
    """The text below the title, in the language in force where it is a wording of ours."""
    return said(row.body)


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
