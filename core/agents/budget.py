"""A grant's rows per hour, counted in the database: calls at the same time cannot spend one row twice."""

from datetime import datetime
from typing import Any

from django.db import connection

from core.agents.models import AgentGrant
from core.errors import ConflictError

# One statement, so that who comes second waits for the row and counts on from there. An hour is one of the
# clock. Nothing comes back where it would be more than the grant has.
_SPEND = """
INSERT INTO core_agentusage AS u (grant_id, hour, rows_read, rows_written)
SELECT %(grant)s, date_trunc('hour', clock_timestamp()), %(read)s, %(written)s
WHERE %(read)s <= %(reads)s AND %(written)s <= %(writes)s
ON CONFLICT (grant_id) DO UPDATE SET
    rows_read = CASE WHEN u.hour = EXCLUDED.hour THEN u.rows_read ELSE 0 END + EXCLUDED.rows_read,
    rows_written = CASE WHEN u.hour = EXCLUDED.hour THEN u.rows_written ELSE 0 END + EXCLUDED.rows_written,
    hour = EXCLUDED.hour
WHERE (EXCLUDED.rows_read = 0
       OR CASE WHEN u.hour = EXCLUDED.hour THEN u.rows_read ELSE 0 END + EXCLUDED.rows_read <= %(reads)s)
  AND (EXCLUDED.rows_written = 0
       OR CASE WHEN u.hour = EXCLUDED.hour THEN u.rows_written ELSE 0 END + EXCLUDED.rows_written
          <= %(writes)s)
RETURNING hour
"""
_GIVE_BACK = """
UPDATE core_agentusage SET rows_read = greatest(0, rows_read - %s) WHERE grant_id = %s AND hour = %s
"""
_RENEWED = "SELECT date_trunc('hour', clock_timestamp()) + interval '1 hour'"


class BudgetSpentError(ConflictError):
    """The grant has not so many rows left within this hour."""

    code = "budget_spent"


def spend_reads(grant: AgentGrant, rows: int) -> datetime:
    """Take so many rows of what may be read; returns the hour they are counted in. Raises
    BudgetSpentError."""
    return _spend(grant, rows, 0)


def spend_writes(grant: AgentGrant, rows: int) -> None:
    """Take so many rows of what may be written, in the transaction that writes them: what is rolled back was
    not spent. Raises BudgetSpentError."""
    _spend(grant, 0, rows)


def give_back(grant: AgentGrant, rows: int, hour: datetime) -> None:
    """Rows that were taken and then not shown; those of an hour that is over are forgotten with it."""
    if rows > 0:
        with connection.cursor() as cursor:
            cursor.execute(_GIVE_BACK, [rows, grant.pk, hour])


def _spend(grant: AgentGrant, read: int, written: int) -> datetime:
    asked: dict[str, Any] = {"grant": grant.pk, "read": read, "written": written}
    asked |= {"reads": grant.reads_per_hour, "writes": grant.writes_per_hour}
    with connection.cursor() as cursor:
        cursor.execute(_SPEND, asked)
        found = cursor.fetchone()
        if found is not None:
            return found[0]
        cursor.execute(_RENEWED)
        (renewed,) = cursor.fetchone()
    kind, most = ("read", grant.reads_per_hour) if read else ("written", grant.writes_per_hour)
    raise BudgetSpentError(
        f"This grant may have {most} rows {kind} per hour, and they do not suffice for this call."
        f" They are renewed at {renewed:%H:%M} UTC; ask for fewer rows or wait."
    )
