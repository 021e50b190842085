"""Digests about to be sent: they may have waited for hours, so they are checked once more."""

from typing import Any

from core.notifications import inbox
from core.notifications.models import Notification
from core.notifications.preferences import Preferences
from core.notifications.types import EMAIL


def is_wanted(row: Notification, user_preferences: Preferences) -> bool:
    """Whether the recipient still wants digests of this kind, by mail."""
    return user_preferences.channel(EMAIL) and bool(getattr(user_preferences, row.data["kind"]))


def sections_now(row: Notification, user_preferences: Preferences) -> list[dict[str, Any]]:
    """The sections without the records that the recipient no longer sees, and without empty ones."""
    sections = row.data["sections"]
    records = [(item["entity"], item["id"]) for section in sections for item in section["items"]]
    hidden = inbox.hidden_of(user_preferences.user, records)
    return [left for section in sections if (left := _without(section, hidden))["items"]]


def _without(section: dict[str, Any], hidden: set[tuple[str, int]]) -> dict[str, Any]:
    items = [item for item in section["items"] if (item["entity"], item["id"]) not in hidden]
    return section | {"items": items, "total": len(items) + section["more"]}
