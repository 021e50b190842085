"""Claims due deliveries by one statement."""

from django.db import connection, transaction

PER_LANE = 2
LEASE_S = 60

# Lane by lane, each by the index: of many deliveries to one receiver no more are read than are claimed.
# Those on their way are counted in the same statement; an advisory lock lets one worker claim at a time.
_CLAIM = """
WITH RECURSIVE lanes AS (
    (SELECT lane FROM core_webhookdelivery WHERE status IN ('queued', 'sending') ORDER BY lane LIMIT 1)
    UNION ALL
    SELECT (SELECT d.lane FROM core_webhookdelivery d
            WHERE d.status IN ('queued', 'sending') AND d.lane > l.lane ORDER BY d.lane LIMIT 1)
    FROM lanes l WHERE l.lane IS NOT NULL
), due AS (
    SELECT head.id FROM lanes l CROSS JOIN LATERAL (
        SELECT d.id, d.due_at FROM core_webhookdelivery d
        WHERE d.lane = l.lane AND d.status IN ('queued', 'sending') AND d.due_at <= clock_timestamp()
        ORDER BY d.due_at, d.id LIMIT greatest(0, %(per_lane)s - (
            SELECT count(*) FROM core_webhookdelivery b
            WHERE b.lane = l.lane AND b.status = 'sending' AND b.due_at > clock_timestamp()
        ))
    ) head
    ORDER BY head.due_at, head.id LIMIT %(limit)s
)
UPDATE core_webhookdelivery d
SET status = 'sending', due_at = clock_timestamp() + make_interval(secs => %(lease)s), fence = fence + 1,
    attempts = attempts + 1
FROM due WHERE d.id = due.id
RETURNING d.id
"""
CLAIMING = 7_302


def claim(limit: int) -> list[int]:
    """Lease up to `limit` due deliveries, of no receiver more than PER_LANE with those on their way; returns
    their ids."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [CLAIMING])
        cursor.execute(_CLAIM, {"per_lane": PER_LANE, "limit": limit, "lease": LEASE_S})
        return [row[0] for row in cursor.fetchall()]
