"""Forgetting the history of automation when its time is up, a little at a time."""

from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

from core.conf import conf
from core.jobs import Turn

BATCH = 2_000
# Table, the condition of what may go, and the setting that says after how many days.
_KEPT = (
    (
        "core_workflowexecution",
        "status NOT IN ('queued', 'running', 'waiting', 'held') AND finished_at < %s",
        "RUN_DAYS",
    ),
    ("core_emailmessage", "status <> 'queued' AND created_at < %s", "MAIL_DAYS"),
    ("core_webhookdelivery", "status NOT IN ('queued', 'sending') AND created_at < %s", "DELIVERY_DAYS"),
)
_CHILDREN = {"core_workflowexecution": "core_workflowstep", "core_webhookdelivery": "core_webhookattempt"}
_COLUMN = {"core_workflowstep": "execution_id", "core_webhookattempt": "delivery_id"}

_OLD = "id IN (SELECT id FROM old)"
_GONE = ", gone AS (DELETE FROM {child} WHERE {column} IN (SELECT id FROM old))"


def prune(turn: Turn | None = None) -> int:
    """Delete what is older than its setting, until the `turn` is over; returns the number of rows, those of
    their steps left out."""
    total = 0
    for table, condition, setting in _KEPT:
        before = timezone.now() - timedelta(days=getattr(conf, setting))
        while not (turn and turn.is_over) and (deleted := _delete(table, condition, before)):
            total += deleted
    return total


def _delete(table: str, condition: str, before: datetime) -> int:
    """One batch, children first. Names and conditions are the constants above."""
    child = _CHILDREN.get(table)
    children = _GONE.format(child=child, column=_COLUMN[child]) if child else ""
    old = f"WITH old AS (SELECT id FROM {table} WHERE {condition} ORDER BY id LIMIT {BATCH})"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(f"{old}{children} DELETE FROM {table} WHERE {_OLD}", [before])  # noqa: S608
        return cursor.rowcount
