"""Activities of records as features: how many of which kind there were up to a moment."""

import numpy as np
from django.db import connection

from core.lead_scoring.scoring_target import Batch

_COUNTS = """
SELECT p.i, count(*) FILTER (WHERE a.type = 'email'), count(*) FILTER (WHERE a.type = 'meeting'),
       count(*) FILTER (WHERE a.direction = 'inbound'),
       extract(epoch FROM min(a.happened_at) FILTER (WHERE a.direction = 'outbound' AND a.type <> 'note'))
FROM unnest(%s::bigint[], %s::float8[]) WITH ORDINALITY AS p(id, at, i)
CROSS JOIN LATERAL (
    SELECT type, direction, happened_at, created_at FROM core_activity
    WHERE entity = %s AND object_id = p.id
    UNION ALL
    SELECT f.type, f.direction, f.happened_at, greatest(f.created_at, r.created_at)
    FROM core_activityrecord r JOIN core_activity f ON f.id = r.activity_id
    WHERE r.entity = %s AND r.object_id = p.id
) AS a
WHERE a.created_at <= to_timestamp(p.at * 86400)
GROUP BY p.i
"""
EMAILS, MEETINGS, INBOUND, FIRST_CONTACT = range(4)


def activity_counts(batch: Batch, entity: str, *, any_: bool = True) -> np.ndarray:
    """By record: e-mails, meetings, what came from them, the first outbound contact (days since 1970).

    `any_` false says that there are none, and no query is needed. Read once for a batch.
    """
    if "activities" not in batch.memo:
        batch.memo["activities"] = _counted(batch, entity) if any_ else _none(len(batch.ids))
    return batch.memo["activities"]


def _none(n: int) -> np.ndarray:
    found = np.zeros((n, 4))
    found[:, FIRST_CONTACT] = np.nan
    return found


def _counted(batch: Batch, entity: str) -> np.ndarray:
    found = _none(len(batch.ids))
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, [[pk or 0 for pk in batch.ids], batch.moments.tolist(), entity, entity])
        for i, emails, meetings, inbound, first in cursor.fetchall():
            found[i - 1] = emails, meetings, inbound, float(first) / 86_400 if first is not None else np.nan
    return found
