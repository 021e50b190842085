"""From changes to notifications: a consumer of the change table, set at a time."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection
from django.db.models import F

from core import jobs
from core.changes import ChangeBatch, consumers
from core.changes.expressions import EqualsAny
from core.changes.models import Change
from core.conditions import change_q, parse
from core.entities import Entity, entities
from core.notifications import comment_edits, comments, following, shares
from core.notifications import consumer_sql as sql
from core.notifications.bulk_insert import MANY, insert_one_each, insert_summary, upsert_per_record
from core.notifications.models import PLAN_JOB
from core.notifications.recipients import RECIPIENTS
from core.notifications.watching import Announcement, Watch, announced, watched

# Changes of these columns make followers, and assignments.
PEOPLE = {"owner_id", "assigned_to_id"}
# From so many changes on a batch is large, whatever the planner's statistics are.
LARGE = 500


@contextmanager
def joined_by_hash(wanted: bool) -> Iterator[None]:
    """Without nested loops, if `wanted`: right after a first import the planner still takes the tables for
    empty, and a nested loop over two of them makes minutes of what takes a tenth of a second. The statements
    name the records, so a join by hash reads no more of a large table than these.

    Within the dispatcher's transaction; its savepoint takes the setting back after an exception.
    """
    with connection.cursor() as cursor:
        if wanted:
            cursor.execute("SET LOCAL enable_nestloop = off")
        yield
        if wanted:
            cursor.execute("SET LOCAL enable_nestloop TO DEFAULT")


def consume(batch: ChangeBatch) -> None:
    """Followers, assignments, watched columns and comments of one batch."""
    entity = entities.get(batch.entity)
    if entity:
        with joined_by_hash(len(batch.ids) >= LARGE):
            notified = _consume_records(entity, batch)
    elif batch.entity == "comment":
        following.follow_written(batch)
        notified = comments.notify(batch)
        comment_edits.update_notifications(batch)
    elif batch.entity == "share":
        notified = shares.notify(batch)
    else:
        return
    if notified:
        jobs.enqueue(PLAN_JOB)


def _consume_records(entity: Entity, batch: ChangeBatch) -> int:
    """Asks first what kinds of changes and which columns there are: most batches need little of the rest."""
    with connection.cursor() as cursor:
        cursor.execute(sql.FOUND, [batch.ids])
        kinds, columns, objects = (found or [] for found in cursor.fetchone())
    params = {"ids": batch.ids, "objects": objects, "watched": batch.ids}
    notified = 0
    if "deleted" in kinds:
        following.forget(batch)
        comments.forget(batch)
    if "created" in kinds or PEOPLE.intersection(columns):
        following.follow_touched(entity, params)
        notified += _assigned(entity, params)
    if "updated" in kinds:
        notified += _announced(entity, params)
    return notified + sum(_changed(entity, params, w) for w in watched(entity.name) if w.column in columns)


consumers.register("notifications", consume)


def _assigned(entity: Entity, params: dict[str, Any]) -> int:
    pairs = sql.ASSIGNED.format(table=entity.model._meta.db_table)
    title = f"doer || ' assigned you the {entity.name} ' || name"
    key = "'assignment:' || %(entity)s || ':' || object_id || ':' || change_id"
    few = insert_one_each(entity, "assignment", pairs, params, title=title, key=key, few=True)
    many = f"{{n}} || ' {entity.plural} were assigned to you'"
    if len(params["ids"]) < MANY:
        return few
    return few + insert_summary(entity, "assignment", pairs, params, title=many)


def _announced(entity: Entity, params: dict[str, Any]) -> int:
    """Make the notifications that the entity's app announces; the watched columns leave these changes out."""
    declared = announced(entity.name)
    if not declared:
        return 0
    notified, silent = 0, set()
    for one in declared:
        question = change_q(entity, parse(entity, one.condition, changes=True), user=None)
        if one.narrow is not None:
            question &= one.narrow
        rows = Change.objects.filter(question, EqualsAny(F("id"), params["ids"]), kind=Change.Kind.UPDATED)
        ids = list(rows.order_by("id").values_list("pk", flat=True))
        if ids:
            notified += _announce(entity, one, params | {"matched": ids, "many": one.many})
            silent.update(ids)
    params["watched"] = [pk for pk in params["ids"] if pk not in silent]
    return notified


def _announce(entity: Entity, one: Announcement, params: dict[str, Any]) -> int:
    recipients = " UNION ".join(f"({RECIPIENTS[name]})" for name in one.recipients)
    pairs = sql.ANNOUNCED.format(table=entity.model._meta.db_table, recipients=recipients)
    title, params = _wording(one.title, params)
    again = "excluded.title || ' (' || {n} || ' times)'"
    body = "'By ' || doer"
    few = upsert_per_record(entity, one.type, pairs, params, title=title, again=again, body=body, few=True)
    if len(params["matched"]) < MANY:
        return few
    return few + insert_summary(entity, one.type, pairs, params, title="{n} || ' ' || %(many)s")


def _wording(text: str, params: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """SQL of a title with `{name}` and `{doer}` in it: what stands between them goes in as parameters."""
    parts, given = [], {}
    for number, part in enumerate(re.split(r"(\{name\}|\{doer\})", text)):
        if part in ("{name}", "{doer}"):
            parts.append(part[1:-1])
        elif part:
            given[f"words{number}"] = part
            parts.append(f"%(words{number})s")
    return " || ".join(parts), params | given


def _changed(entity: Entity, batch: dict[str, Any], watch: Watch) -> int:
    """Notify followers of watched columns: one notification per record, or one with their number."""
    pairs = sql.CHANGED.format(crossing="" if watch.above is None else sql.CROSSING)
    params = batch | {"column": watch.column, "above": watch.above}
    label = watch.column.replace("_", " ")
    title = f"name || ': {label} is now ' || coalesce(replace(new, '_', ' '), 'empty')"
    again = "excluded.title || ' (' || {n} || ' changes)'"
    body = "'Changed by ' || doer"
    one = upsert_per_record(entity, watch.type, pairs, params, title=title, again=again, body=body, few=True)
    if len(params["ids"]) < MANY:
        return one
    many = f"'{label.capitalize()} of ' || {{n}} || ' {entity.plural} changed'"
    return one + insert_summary(entity, watch.type, pairs, params, title=many)
