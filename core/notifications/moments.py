"""Moments that columns hold: reminders and due times, each told once however often it is looked for."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from core import jobs
from core.entities import entities
from core.notifications.models import PLAN_JOB
from core.notifications.statements import tell_each, tell_together
from core.registry import Registry

# What a stopped system missed is still told for so long.
LOOK_BACK = timedelta(days=7)


@dataclass(frozen=True)
class Moment:
    """A column of an entity whose moment, once it has come, is told to the assignee, else the owner.

    `condition` is SQL over the table's columns (alias r) that must hold; `title` is what stands before the
    record's own. Many that are found at once are told of in one line where `many` has words for it
    ("tasks are overdue").
    """

    entity: str
    column: str
    type: str
    title: str
    condition: str = "true"
    many: str = ""


moments: Registry[Moment] = Registry("moment")


def remind(entity: str, column: str, title: str, *, type: str = "reminder", **more: str) -> None:
    """Tell whom a record of `entity` belongs to when the moment in `column` has come."""
    moments.register(f"{type}:{entity}.{column}", Moment(entity, column, type, title, **more))


_KEY = "%(kind)s || ':' || %(entity)s || ':' || {object_id} || ':' || {moment}"
_PAIRS = """
SELECT coalesce(r.assigned_to_id, r.owner_id) AS recipient_id, r.id AS object_id, NULL::bigint AS actor_id,
       {moment} AS moment
FROM {table} r
WHERE r.{column} <= %(now)s AND r.{column} > %(since)s AND r.archived_at IS NULL AND ({condition})
  AND coalesce(r.assigned_to_id, r.owner_id) IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM core_notification o
    WHERE o.recipient_id = coalesce(r.assigned_to_id, r.owner_id) AND o.key <> '' AND o.key = {key})
"""


def tell_due(kind: str, now: datetime | None = None) -> int:
    """Tell of all moments of a type that have come by `now`; returns how many were told."""
    now = now or timezone.now()
    told = sum(_tell(moment, now) for moment in moments if moment.type == kind)
    if told:
        jobs.enqueue(PLAN_JOB)
    return told


def _tell(moment: Moment, now: datetime) -> int:
    entity = entities[moment.entity]
    table = entity.model._meta.db_table
    at = f"extract(epoch FROM r.{moment.column})::bigint"
    known = _KEY.format(object_id="r.id", moment=at)
    pairs = _PAIRS.format(column=moment.column, table=table, condition=moment.condition, key=known, moment=at)
    params = {"now": now, "since": now - LOOK_BACK, "title": moment.title, "many": moment.many}
    wording = {"title": "%(title)s || name", "key": _KEY.format(object_id="object_id", moment="moment")}
    alone = tell_each(entity, moment.type, pairs, params, few=bool(moment.many), **wording)
    if not moment.many:
        return alone
    return alone + tell_together(entity, moment.type, pairs, params, many="{n} || ' ' || %(many)s", **wording)
