"""Who works on a run: leases with fences, taken and given back by single statements on PostgreSQL's clock."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

# Long for a step, which is a few statements; short for what a killed worker leaves lying.
LEASE_S = 30
BATCH = 60
# Runs in one transaction, which keeps their records locked while it lasts.
TOGETHER = 20

_CLAIM = """
WITH due AS (
    SELECT e.id FROM core_workflowexecution e
    WHERE e.status IN ('queued', 'running', 'waiting') AND e.due_at <= clock_timestamp() {only}
      AND (NOT e.in_line OR e.object_id IS NULL OR NOT EXISTS (
          SELECT 1 FROM core_workflowexecution head
          WHERE head.workflow_id = e.workflow_id AND head.object_id = e.object_id AND head.id < e.id
            AND head.entity = e.entity AND head.in_line AND head.status IN ('queued', 'running', 'waiting')
      ))
    ORDER BY e.priority, e.due_at, e.id
    LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE core_workflowexecution e
SET lost_leases = e.lost_leases + (e.status = 'running')::int, status = 'running',
    due_at = clock_timestamp() + make_interval(secs => %(lease)s), fence = e.fence + 1,
    worker = %(worker)s, started_at = coalesce(e.started_at, clock_timestamp())
FROM due WHERE e.id = due.id
RETURNING e.priority, e.id, e.fence, e.version_id, e.entity, e.object_id, e.lost_leases
"""
_RELEASE = """
UPDATE core_workflowexecution SET status = 'queued', due_at = clock_timestamp()
WHERE status = 'running' AND id = ANY(%s) AND worker = %s
"""


@dataclass(frozen=True)
class Claim:
    """A lease on a run: worth something only while the row's fence is this one."""

    run_id: int
    fence: int
    version_id: int = 0
    entity: str = ""
    object_id: int | None = None
    lost_leases: int = 0


def claim(worker: str, limit: int = BATCH, run_id: int | None = None) -> list[Claim]:
    """Lease up to `limit` due runs, by priority and age; a run waits for its record's earlier ones.

    Leases that ran out are taken over, and counted. Of a run whose row is locked somebody is at work.
    """
    only = "AND e.id = %(run)s" if run_id else ""
    given: dict[str, Any] = {"limit": limit, "lease": LEASE_S, "worker": worker[:80], "run": run_id}
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM.format(only=only), given)
        return [Claim(*row[1:]) for row in sorted(cursor.fetchall())]


def batches(claims: Sequence[Claim]) -> list[list[Claim]]:
    """The claims that are worked together: of one version and entity, each about another record, in order.

    A run that cost a worker its lease goes last and alone: it may be what the worker died of.
    """
    found: dict[tuple[int, str, int], list[Claim]] = {}
    before: Counter[tuple[int, str, int | None]] = Counter()
    for claim in (c for c in claims if not c.lost_leases):
        about = (claim.version_id, claim.entity, claim.object_id)
        found.setdefault((claim.version_id, claim.entity, before[about]), []).append(claim)
        before[about] += claim.object_id is not None
    sound = [runs[i : i + TOGETHER] for runs in found.values() for i in range(0, len(runs), TOGETHER)]
    return [*sound, *([c] for c in claims if c.lost_leases)]


def release(worker: str, claims: list[Claim]) -> None:
    """Give back runs that were not begun."""
    with connection.cursor() as cursor:
        cursor.execute(_RELEASE, [[c.run_id for c in claims], worker[:80]])


def next_due_s() -> float | None:
    """Seconds until the next run is due (negative when it is late); None when none waits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM min(due_at) - clock_timestamp())::float8 FROM core_workflowexecution"
            " WHERE status IN ('queued', 'running', 'waiting')"
        )
        return cursor.fetchone()[0]


def oldest_due_s() -> float:
    """Age in seconds of the oldest run that is due and not claimed; 0 when there is none."""
    late = next_due_s()
    return max(-late, 0.0) if late is not None else 0.0
