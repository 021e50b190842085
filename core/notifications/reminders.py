"""Reminders and due times in columns of records: one notification for each, however often this runs."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from core import jobs
from core.entities import entities
from core.notifications import wording
from core.notifications.bulk_insert import insert_one_each, insert_summary_once
from core.notifications.models import PLAN_JOB
from core.registry import Registry

# How far back to look for what came due while the system was stopped.
LOOK_BACK = timedelta(days=7)


@dataclass(frozen=True)
class Reminder:
    """A column of an entity; when its time has come, the assignee, else the owner, is notified.

    `condition` is SQL over the table's columns (alias r) that must hold; `title` is what stands before the
    record's own. Many that are found at once become one notification where `many` gives its wording
    ("tasks are overdue"). `only_ahead` leaves out times that were past when they were entered: an
    overdue task still matters, a reminder for last week does not.
    """

    entity: str
    column: str
    type: str
    title: str
    condition: str = "true"
    many: str = ""
    only_ahead: bool = False


reminders: Registry[Reminder] = Registry("reminder")


def remind(entity: str, column: str, title: str, *, type: str = "reminder", **more: str) -> None:
    """Notify a record's assignee, else its owner, when the time in `column` has come."""
    ahead = type == "reminder"
    made = Reminder(entity, column, type, title, only_ahead=ahead, **more)
    wording.add(type, f"{title}%(name)s")
    if made.many:
        wording.add(type, f"%(n)s {made.many}")
    reminders.register(f"{type}:{entity}.{column}", made)


_KEY = "%(kind)s || ':' || %(entity)s || ':' || {object_id} || ':' || {moment}"
# What was past already when the record came (by an import, say), came back or was given this moment is no
# reminder any more. A minute is allowed for clocks, and for "remind me now".
_ARRIVED_BEFORE = """
  AND NOT EXISTS (SELECT 1 FROM core_change c
    WHERE c.entity = %(entity)s AND c.object_id = r.id AND c.at > r.{column} + interval '1 minute'
      AND (c.kind IN ('created', 'restored') OR c.changes ? '{column}'))
"""
_PAIRS = """
SELECT coalesce(r.assigned_to_id, r.owner_id) AS recipient_id, r.id AS object_id, NULL::bigint AS actor_id,
       {moment} AS moment
FROM {table} r
WHERE r.{column} <= %(now)s AND r.{column} > %(since)s AND r.archived_at IS NULL AND ({condition})
  AND coalesce(r.assigned_to_id, r.owner_id) IS NOT NULL {arrived}
  AND NOT EXISTS (SELECT 1 FROM core_notification o
    WHERE o.recipient_id = coalesce(r.assigned_to_id, r.owner_id) AND o.key <> '' AND o.key = {key})
"""


def notify_due_reminders(kind: str, now: datetime | None = None) -> int:
    """Notify of everything of a type that is due by `now`; returns how many notifications were made."""
    now = now or timezone.now()
    notified = sum(_notify(reminder, now) for reminder in reminders if reminder.type == kind)
    if notified:
        jobs.enqueue(PLAN_JOB)
    return notified


def _notify(reminder: Reminder, now: datetime) -> int:
    entity = entities[reminder.entity]
    table = entity.model._meta.db_table
    at = f"extract(epoch FROM r.{reminder.column})::bigint"
    known = _KEY.format(object_id="r.id", moment=at)
    arrived = _ARRIVED_BEFORE.format(column=reminder.column) if reminder.only_ahead else ""
    pairs = _PAIRS.format(
        column=reminder.column,
        table=table,
        condition=reminder.condition,
        key=known,
        moment=at,
        arrived=arrived,
    )
    params = {"now": now, "since": now - LOOK_BACK, "title": reminder.title, "many": reminder.many}
    words = {"title": "%(title)s || name", "key": _KEY.format(object_id="object_id", moment="moment")}
    alone = insert_one_each(entity, reminder.type, pairs, params, few=bool(reminder.many), **words)
    if not reminder.many:
        return alone
    return alone + insert_summary_once(
        entity, reminder.type, pairs, params, many="{n} || ' ' || %(many)s", **words
    )
