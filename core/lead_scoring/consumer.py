"""From changes to leads that want a new score: a consumer of the change table, set at a time."""

from django.db import connection

from core import jobs
from core.changes import ChangeBatch, consumers
from core.lead_scoring.jobs import PENDING_JOB
from core.lead_scoring.scoring_target import ScoringTarget, scoring_targets
from core.lead_scoring.storing import names_of

# What scoring writes itself is no column of any feature, so that scoring does not call for scoring.
_MARK = """
INSERT INTO {pending} ({key})
SELECT DISTINCT object_id FROM core_change
WHERE id = ANY(%s) AND (kind IN ('created', 'restored') OR (kind = 'updated' AND changes ?| %s))
ORDER BY object_id
ON CONFLICT DO NOTHING
"""
_FORGET = """
DELETE FROM {scores} WHERE {key} IN (
    SELECT object_id FROM core_change WHERE id = ANY(%s) AND kind = 'deleted')
"""


def consume(batch: ChangeBatch) -> None:
    """Mark the leads of a batch that were made, or changed in something features are made of."""
    target = scoring_targets.get(batch.entity)
    if target is None:
        return
    names = names_of(target)
    with connection.cursor() as cursor:
        cursor.execute(_FORGET.format(**names), [batch.ids])
        cursor.execute(_MARK.format(**names), [batch.ids, watched_columns(target)])
        if cursor.rowcount:
            jobs.enqueue(PENDING_JOB)


def watched_columns(target: ScoringTarget) -> list[str]:
    """The table columns that features are made of, those of custom fields among them."""
    return sorted({name for f in target.features for name in f.columns} | {"custom_fields"})


consumers.register("lead scoring", consume)
