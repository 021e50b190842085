"""Claiming password mails that are due."""

from datetime import timedelta

from django.db import connection

_CLAIM = """
WITH due AS (
    SELECT id FROM core_passwordmail WHERE due_at <= clock_timestamp()
    ORDER BY due_at, id LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE core_passwordmail m SET due_at = clock_timestamp() + make_interval(secs => %s), attempts = attempts + 1
FROM due WHERE m.id = due.id RETURNING m.id
"""


def claim_due(limit: int, lease: timedelta) -> list[int]:
    """Ids of up to `limit` rows that are due, each postponed by the lease and counted as an attempt.

    Rows that others hold are skipped.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [limit, lease.total_seconds()])
        return [pk for (pk,) in cursor.fetchall()]
