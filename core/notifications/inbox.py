"""What a user finds in their inbox: only what they may see now."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from core.access import TEAM_REACH
from core.conf import conf
from core.entities import entities
from core.jobs import Turn
from core.notifications.models import UNREAD, Delivery, Notification

# Unread ones are counted up to here; a client shows "999+" beyond.
COUNT_LIMIT = 1_000
# Deleted in one go.
FORGET = 5_000


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
    return about_visible(user).filter(is_in_inbox=True)


def counts(user: Any) -> dict[str, Any]:
    """How many unread there are, by type too; up to COUNT_LIMIT, which is then said to be `capped`.

    The newest are read by their partial index alone; then their records are looked up, an entity at a time.
    """
    rows = Notification.objects.filter(UNREAD, recipient=user).order_by("-created_at", "-id")
    found = list(rows.values_list("type", "entity", "object_id")[: COUNT_LIMIT + 1])
    shown = _without_hidden(found[:COUNT_LIMIT], user)
    return {
        "unread": len(shown),
        "capped": len(found) > COUNT_LIMIT,
        "by_type": dict(sorted(Counter(shown).items())),
    }


def _without_hidden(rows: list[tuple[str, str, int | None]], user: Any) -> list[str]:
    """The types of those rows whose record the user sees, or that are about none."""
    hidden = hidden_of(user, [(name, pk) for _, name, pk in rows])
    return [kind for kind, name, pk in rows if (name, pk) not in hidden]


def hidden_of(user: Any, records: Iterable[tuple[str, int | None]]) -> set[tuple[str, int]]:
    """Those of the records (entity and id) that the user does not see now; one query an entity."""
    asked: dict[str, set[int]] = {}
    for name, pk in records:
        if pk is not None and name in entities and entities[name].model.policy.scope(user):
            asked.setdefault(name, set()).add(pk)
    hidden = set()
    for name, ids in asked.items():
        seen = entities[name].visible_to(user).filter(pk__in=ids).order_by().values_list("pk", flat=True)
        hidden |= {(name, pk) for pk in ids - set(seen)}
    return hidden


_HIDDEN = """
SELECT n.id FROM core_notification n JOIN core_user u ON u.id = n.recipient_id
LEFT JOIN {table} r ON r.id = n.object_id
WHERE n.id = ANY(%(ids)s) AND n.entity = %(entity)s AND n.object_id IS NOT NULL AND NOT {viewers}
"""


def hidden_from_recipients(rows: Iterable[Notification]) -> set[int]:
    """The ids of those about records that their recipients do not see now; one query an entity, however many
    recipients there are."""
    asked: dict[str, list[int]] = {}
    for row in rows:
        if row.object_id is not None and row.entity in entities:
            asked.setdefault(row.entity, []).append(row.pk)
    hidden: set[int] = set()
    with connection.cursor() as cursor:
        for name, ids in asked.items():
            model = entities[name].model
            viewers = f"coalesce({model.policy.viewers('r', 'u')}, false)"
            statement = f"{TEAM_REACH} {_HIDDEN.format(table=model._meta.db_table, viewers=viewers)}"
            cursor.execute(statement, {"ids": ids, "entity": name})
            hidden |= {row[0] for row in cursor.fetchall()}
    return hidden


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


def forget_old(turn: Turn | None = None) -> int:
    """Delete notifications past their time, with their deliveries, until the `turn` is over; returns how
    many.

    Looked for among the oldest by id, in which no index on the time is needed.
    """
    limit = timezone.now() - timedelta(days=conf.NOTIFICATION_DAYS)
    total = 0
    while not (turn and turn.is_over) and (ids := _oldest_before(limit)):
        Delivery.objects.filter(notification__in=ids).delete()
        total += Notification.objects.filter(pk__in=ids).delete()[0]
    return total


def _oldest_before(limit: datetime) -> list[int]:
    oldest = Notification.objects.order_by("pk").values_list("pk", "created_at")[:FORGET]
    return [pk for pk, created_at in oldest if created_at < limit]
