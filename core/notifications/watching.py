"""Which changes make notifications: declared by the apps, in their registration.py.

`watch` notifies followers that a column changed. `announce` is for changes with a wording and recipients of
their own ("deal won"): one declaration of type, condition, wording and recipients. A change that is announced
makes one notification: the watched columns in it are left out.
"""

from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from core.notifications import types, wording
from core.notifications.recipients import RECIPIENTS
from core.registry import Registry


@dataclass(frozen=True)
class Watch:
    """A column of an entity. With `above`, only a change from at most that number to more of it counts."""

    entity: str
    column: str
    type: str = "update"
    above: int | None = None


@dataclass(frozen=True)
class Announcement:
    """Changes of an entity that meet `condition` (in the condition language, changes included), and their
    `recipients` (keys of RECIPIENTS).

    `title` holds `{name}`, the record's, and may hold `{doer}`; `many` is what stands behind a number where
    there are many at once: "deals you follow are won".
    """

    entity: str
    type: str
    condition: Any
    title: str
    many: str
    recipients: tuple[str, ...]
    # Of the changes that meet the condition only these: a Q over the change table, which knows old and new.
    narrow: Q | None = None


watches: Registry[Watch] = Registry("watched column")
announcements: Registry[Announcement] = Registry("announcement")


def watch(entity: str, column: str, *, type: str = "update", above: int | None = None) -> Watch:
    """Notify followers of `entity` when `column` changes (or rises `above` a number)."""
    return watches.register(f"{entity}.{column}", Watch(entity, column, type, above))


def watched(entity: str) -> list[Watch]:
    return [w for w in watches if w.entity == entity]


def announce(
    entity: str,
    type: str,
    *,
    label: str,
    condition: Any,
    title: str,
    many: str,
    recipients: tuple[str, ...] = ("followers",),
    channels: tuple[str, ...] = (types.IN_APP,),
    urgent: bool = False,
    narrow: Q | None = None,
) -> Announcement:
    """Declare a notification of its own: `type` is the name under which people find it among their
    preferences, `label` its name there, `channels` those it goes by unless they choose otherwise. `narrow` is
    for what a condition cannot say: that a value became more, or a date later."""
    unknown = set(recipients) - RECIPIENTS.keys()
    if unknown:
        raise LookupError(f"unknown recipients {sorted(unknown)}; known: {', '.join(sorted(RECIPIENTS))}")
    types.register(type, label, *channels, urgent=urgent)
    worded = title.replace("{name}", "%(name)s").replace("{doer}", "%(doer)s")
    for text in (f"{worded} (%(n)s times)", worded, f"%(n)s {many}"):
        wording.add(type, text)
    made = Announcement(entity, type, condition, title, many, recipients, narrow)
    return announcements.register(f"{entity}:{type}", made)


def announced(entity: str) -> list[Announcement]:
    return [a for a in announcements if a.entity == entity]
