"""Leaks that the change table shows: columns that people fill in only once the outcome is known."""

from collections.abc import Mapping
from typing import Any

from django.db import connection

from core.lead_scoring.history import CHUNK, closed_leads
from core.lead_scoring.leaks import SUSPECT
from core.lead_scoring.scoring_target import PREFIX, ScoringTarget

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


# Whether a column got its value, or another value, only after closing: of the leads that show when.
_WRITTEN = """
SELECT w.key, count(*) FILTER (WHERE w.late AND NOT w.early), count(*)
FROM (
    SELECT p.id, k.key, bool_or(c.at >= p.closed) AS late, bool_or(c.at < p.closed) AS early
    FROM unnest(%s::bigint[], %s::timestamptz[]) AS p(id, closed)
    JOIN core_change c ON c.entity = %s AND c.object_id = p.id AND c.kind = 'updated'
    CROSS JOIN LATERAL (
        SELECT a.key FROM jsonb_each(c.changes) a WHERE a.key <> 'custom_fields'
        UNION
        SELECT 'custom_fields.' || n.key FROM jsonb_each(c.changes->'custom_fields'->1) n
        WHERE n.value IS DISTINCT FROM c.changes->'custom_fields'->0->n.key
    ) k
    GROUP BY p.id, k.key
) w GROUP BY w.key
"""


def suspects(target: ScoringTarget, strengths: Mapping[str, tuple[float, str]]) -> dict[str, dict[str, Any]]:
    """Feature → evidence that it knows the outcome, for those that predict it well alone and whose column
    is filled or changed mostly after closing."""
    strong = {key: found for key, found in strengths.items() if found[0] >= SUSPECT}
    if not strong:
        return {}
    written, features = _written(target, closed_leads(target)), target.all_features()
    found = {}
    for key, (value, what) in strong.items():
        names = [key] if key.startswith(PREFIX) else features[key].columns if key in features else ()
        late, known = max((written.get(name, (0, 0)) for name in names), default=(0, 0))
        if known >= LEAST and late / known > MOST:
            found[key] = {
                "auc": round(value, 4),
                "written_after_closing": late,
                "written": known,
                "evidence": f"{what} alone predicts the outcome (AUC {value:.2f}), and of {known} leads "
                f"whose history shows when, it was written after closing in {late}",
            }
    return found


def _written(target: ScoringTarget, leads: list[tuple]) -> dict[str, tuple[int, int]]:
    """Column → (leads in which it was written only after closing, leads in which it was written at all)."""
    found: dict[str, tuple[int, int]] = {}
    with connection.cursor() as cursor:
        for start in range(0, len(leads), CHUNK):
            part = leads[start : start + CHUNK]
            cursor.execute(_WRITTEN, [[one[0] for one in part], [one[2] for one in part], target.entity])
            for key, late, known in cursor.fetchall():
                before = found.get(key, (0, 0))
                found[key] = (before[0] + late, before[1] + known)
    return found


def filled_afterwards(target: ScoringTarget) -> dict[str, str]:
    """Feature → why it is taken for a leak, from when its column was filled."""
    leads = closed_leads(target)
    wins = sum(won for *_, won in leads)
    if min(wins, len(leads) - wins) < LEAST:
        return {}
    counts = _counts(target, leads)
    found = {}
    for key, feature in target.all_features().items():
        names = [key] if key.startswith(PREFIX) else feature.columns
        shares = [
            (counts.get((True, n), 0) / wins, counts.get((False, n), 0) / (len(leads) - wins)) for n in names
        ]
        if any(won > MOST and lost < FEW for won, lost in shares):
            won, lost = max(shares)
            found[key] = f"filled in after closing for {won:.0%} of won and {lost:.0%} of lost leads"
    return found


def _counts(target: ScoringTarget, leads: list[tuple]) -> dict[tuple[bool, str], int]:
    found: dict[tuple[bool, str], int] = {}
    with connection.cursor() as cursor:
        for start in range(0, len(leads), CHUNK):
            part = leads[start : start + CHUNK]
            columns = [[one[0] for one in part], [one[2] for one in part], [one[3] for one in part]]
            cursor.execute(_FILLED, [*columns, target.entity])
            for won, key, count in cursor.fetchall():
                found[(won, key)] = found.get((won, key), 0) + count
    return found
