"""What was dismissed of records that are merged: it holds of the survivor, until the merge is undone."""

from typing import Any

from django.db import connection

from core.duplicates.groups import pairs_with, regroup, wait_for_turn
from core.duplicates.models import DuplicateCheck, DuplicatePair, Merge
from core.entities import Entity

# What is dismissed for the survivor already stays as it is.
_INHERIT = """
INSERT INTO core_duplicatepair AS known (entity, low_id, high_id, score, reasons, exact, dismissed_at,
    dismissed_by_id, inherited_by_id)
SELECT DISTINCT ON (2, 3) p.entity, least(m.survivor, o.other), greatest(m.survivor, o.other), 0,
    '{}'::varchar[], false, p.dismissed_at, p.dismissed_by_id, %(merge)s::bigint
FROM core_duplicatepair p CROSS JOIN (SELECT %(survivor)s::bigint AS survivor) AS m
CROSS JOIN LATERAL (
    SELECT CASE WHEN p.low_id = ANY(%(merged)s) THEN p.high_id ELSE p.low_id END AS other
) AS o
WHERE p.entity = %(entity)s AND p.dismissed_at IS NOT NULL
AND (p.low_id = ANY(%(merged)s) OR p.high_id = ANY(%(merged)s)) AND o.other <> ALL(%(group)s)
ORDER BY 2, 3, p.id
ON CONFLICT (entity, low_id, high_id) DO UPDATE SET dismissed_at = excluded.dismissed_at,
    dismissed_by_id = excluded.dismissed_by_id, inherited_by_id = excluded.inherited_by_id, group_id = NULL
    WHERE known.dismissed_at IS NULL
"""


def pass_on(entity: Entity, merge: Merge) -> None:
    """Dismiss for the survivor what was dismissed for the records that were merged into it. Raises
    ConflictError where records are being compared for longer than one waits."""
    if not pairs_with(entity, merge.merged_ids).exclude(dismissed_at=None).exists():
        return
    wait_for_turn(entity)
    groups = set(pairs_with(entity, [merge.object_id]).values_list("group_id", flat=True))
    params: dict[str, Any] = {
        "entity": entity.name,
        "merge": merge.pk,
        "survivor": merge.object_id,
        "merged": list(merge.merged_ids),
        "group": merge.record_ids,
    }
    with connection.cursor() as cursor:
        cursor.execute(_INHERIT, params)
    regroup(entity, groups)


def give_back(entity: Entity, merge: Merge) -> None:
    """Forget what holds of the survivor by this merge alone, also where a later merge passed it on, and have
    its records compared again. Raises ConflictError as `pass_on` does."""
    passed = DuplicatePair.objects.filter(inherited_by=merge)
    if not passed.exists():
        return
    wait_for_turn(entity)
    again = pairs_with(entity, [merge.object_id]).filter(inherited_by__gt=merge.pk)
    later = set(again.values_list("inherited_by", flat=True))
    others = {pk for pair in passed for pk in (pair.low_id, pair.high_id)}
    passed.delete()
    again.delete()
    for one in Merge.objects.filter(pk__in=later, undone_at=None).order_by("pk"):
        pass_on(entity, one)
    wanted = others.union(merge.record_ids)
    DuplicateCheck.objects.bulk_create(DuplicateCheck(entity=entity.name, record_id=pk) for pk in wanted)
