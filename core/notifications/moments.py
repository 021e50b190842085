"""Moments that columns hold: reminders and due times, each told once however often it is looked for."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from core import jobs
from core.entities import entities
from core.models.notification import PLAN_JOB
from core.notifications.statements import tell_each
from core.registry import Registry

# What a stopped system missed is still told for so long.
LOOK_BACK = timedelta(days=7)


@dataclass(frozen=True)
class Moment:
    """A column of an entity whose moment, once it has come, is told to the assignee, else the owner.

    `condition` is SQL over the table's columns (alias r) that must hold; `title` is what stands before the
    record's own.
    """

    entity: str
    column: str
    type: str
    title: str
    condition: str = "true"


moments: Registry[Moment] = Registry("moment")


def remind(entity: str, column: str, title: str, *, type: str = "reminder", condition: str = "true") -> None:
    """Tell whom a record of `entity` belongs to when the moment in `column` has come."""
    moments.register(f"{type}:{entity}.{column}", Moment(entity, column, type, title, condition))


_PAIRS = """
SELECT coalesce(r.assigned_to_id, r.owner_id) AS recipient_id, r.id AS object_id, NULL::bigint AS actor_id,
       extract(epoch FROM r.{column})::bigint AS moment
FROM {table} r
WHERE r.{column} <= %(now)s AND r.{column} > %(since)s AND r.archived_at IS NULL AND ({condition})
  AND coalesce(r.assigned_to_id, r.owner_id) IS NOT NULL
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
    pairs = _PAIRS.format(column=moment.column, table=table, condition=moment.condition)
    params = {"now": now, "since": now - LOOK_BACK, "title": moment.title}
    key = "%(kind)s || ':' || %(entity)s || ':' || object_id || ':' || moment"
    return tell_each(entity, moment.type, pairs, params, title="%(title)s || name", key=key)
