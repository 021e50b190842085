"""The second leak check: columns that people fill in only once the outcome is known."""

from django.db import connection

from core.lead_scoring.history import CHUNK, closed_leads
from core.lead_scoring.subject import PREFIX, all_features, subject

# Filled afterwards in most won leads and in few lost ones.
MOST, FEW = 0.5, 0.2
LEAST = 20

_FILLED = """
SELECT p.won, k.key, count(DISTINCT p.id)
FROM unnest(%s::bigint[], %s::timestamptz[], %s::bool[]) AS p(id, closed, won)
JOIN core_change c ON c.entity = %s AND c.object_id = p.id AND c.at >= p.closed AND c.kind = 'updated'
CROSS JOIN LATERAL (
    SELECT a.key FROM jsonb_each(c.changes) a
    WHERE a.value->0 IN ('null', '""', '[]') AND a.value->1 NOT IN ('null', '""', '[]')
    UNION
    SELECT 'custom_fields.' || n.key FROM jsonb_each(c.changes->'custom_fields'->1) n
    WHERE NOT coalesce(c.changes->'custom_fields'->0 ? n.key, false)
) k
GROUP BY 1, 2
"""


def filled_afterwards() -> dict[str, str]:
    """Feature → why it is taken for a leak, from when its column was filled."""
    leads = closed_leads()
    wins = sum(won for *_, won in leads)
    if min(wins, len(leads) - wins) < LEAST:
        return {}
    counts = _counts(leads)
    found = {}
    for key, feature in all_features().items():
        names = [key] if key.startswith(PREFIX) else feature.columns
        shares = [
            (counts.get((True, n), 0) / wins, counts.get((False, n), 0) / (len(leads) - wins)) for n in names
        ]
        if any(won > MOST and lost < FEW for won, lost in shares):
            won, lost = max(shares)
            found[key] = f"filled in after closing for {won:.0%} of won and {lost:.0%} of lost leads"
    return found


def _counts(leads: list[tuple]) -> dict[tuple[bool, str], int]:
    found: dict[tuple[bool, str], int] = {}
    with connection.cursor() as cursor:
        for start in range(0, len(leads), CHUNK):
            part = leads[start : start + CHUNK]
            columns = [[one[0] for one in part], [one[2] for one in part], [one[3] for one in part]]
            cursor.execute(_FILLED, [*columns, subject().entity])
            for won, key, count in cursor.fetchall():
                found[(won, key)] = found.get((won, key), 0) + count
    return found
