"""What a user finds in their inbox: only what they may see now."""

from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from core.entities import entities
from core.models import Notification
from core.models.notification import UNREAD

# Unread ones are counted up to here; a bell shows "999+" beyond.
COUNT_LIMIT = 1_000


def about_visible(user: Any) -> QuerySet[Notification]:
    """The notifications of `user` but for those about records they no longer see."""
    seen: Any = Q(object_id=None)
    for entity in entities:
        scope = entity.model.policy.scope(user)
        rows = entity.model.objects.filter(pk=OuterRef("object_id")).filter(scope)
        seen |= Q(entity=entity.name) & (Exists(rows) if scope else Q())
    # About something that is no record (an import, a workflow), or about a visible record.
    about_other = ~Q(entity__in=entities.keys())
    return Notification.objects.filter(recipient=user).filter(seen | about_other)


def visible(user: Any) -> QuerySet[Notification]:
    """What is in the user's inbox."""
    return about_visible(user).filter(in_inbox=True)


def unread(user: Any) -> QuerySet[Notification]:
    return visible(user).filter(UNREAD)


def counts(user: Any) -> dict[str, Any]:
    """How many unread there are, by type too; up to COUNT_LIMIT, which is then said to be `capped`."""
    kinds = list(unread(user).order_by().values_list("type", flat=True)[: COUNT_LIMIT + 1])
    shown = kinds[:COUNT_LIMIT]
    by_type = {kind: shown.count(kind) for kind in sorted(set(shown))}
    return {"unread": len(shown), "capped": len(kinds) > COUNT_LIMIT, "by_type": by_type}


def read_all(user: Any, kinds: list[str] | None = None, until: datetime | None = None) -> int:
    """Mark everything unread as read (of some types, or what came before a moment); returns how many."""
    rows = Notification.objects.filter(UNREAD, recipient=user)
    if kinds:
        rows = rows.filter(type__in=kinds)
    if until:
        rows = rows.filter(created_at__lte=until)
    return rows.update(read_at=timezone.now())


def mark(row: Notification, name: str, value: datetime | None) -> None:
    """Set or clear `read_at` or `archived_at`. What becomes unread again no longer takes in later ones: there
    may be another of its group by now."""
    setattr(row, name, value)
    fields = [name]
    if value is None and row.group_key:
        row.group_key = ""
        fields.append("group_key")
    row.save(update_fields=fields)
