"""From changes to leads that want a new score: a consumer of the change table, set at a time."""

from django.db import connection

from core import jobs
from core.changes import ChangeBatch, consumers
from core.lead_scoring.jobs import PENDING_JOB
from core.lead_scoring.scoring_target import features, scoring_targets

# What scoring writes itself is no column of any feature, so that scoring does not call for scoring.
_MARK = """
INSERT INTO core_scoringpending (lead_id)
SELECT DISTINCT object_id FROM core_change
WHERE id = ANY(%s) AND (kind IN ('created', 'restored') OR (kind = 'updated' AND changes ?| %s))
ORDER BY object_id
ON CONFLICT DO NOTHING
"""
_FORGET = """
DELETE FROM core_leadscore WHERE lead_id IN (
    SELECT object_id FROM core_change WHERE id = ANY(%s) AND kind = 'deleted')
"""


def consume(batch: ChangeBatch) -> None:
    """Mark the leads of a batch that were made, or changed in something features are made of."""
    if batch.entity not in scoring_targets:
        return
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, [batch.ids])
        cursor.execute(_MARK, [batch.ids, watched_columns()])
        if cursor.rowcount:
            jobs.enqueue(PENDING_JOB)


def watched_columns() -> list[str]:
    """The table columns that features are made of, those of custom fields among them."""
    return sorted({name for f in features for name in f.columns} | {"custom_fields"})


consumers.register("lead scoring", consume)
