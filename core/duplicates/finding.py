"""Finding records that may be the same: in the background, some thousand at a time, only what has changed.

A consumer of changes notes which records changed (`DuplicateCheck`). A task compares these with what is
stored, and where the rules changed, nothing was compared yet or a week is over, all records in the order of
their ids (`DuplicateScan`). What it finds are pairs; the records that pairs connect are a group (groups.py).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db import connection, transaction
from django.db.models import F

from core.changes import ChangeBatch, consumers
from core.changes.expressions import EqualsAny
from core.duplicates.groups import pairs_with, regroup
from core.duplicates.models import DuplicateScan
from core.duplicates.reasons import DuplicateReason, FoundPairs, columns_of, pairs_of, reasons_of, score_of
from core.entities import Entity, aliases, entities
from core.entities.locks import FINDING_DUPLICATES, try_lock
from core.jobs import Turn

# Records compared by one transaction, and where each of them costs a search by trigrams.
CHUNK, FUZZY_CHUNK = 2_000, 100

_NOTE = """
INSERT INTO core_duplicatecheck (entity, record_id)
SELECT DISTINCT entity, object_id FROM core_change
WHERE id = ANY(%s) AND (kind <> 'updated' OR changes ?| %s)
"""
# The entities that changed rules are about, and were about before.
_RESCAN = """
UPDATE core_duplicatescan SET after_id = 0 WHERE entity IN (
    SELECT r.entity FROM core_change c JOIN core_duplicaterule r ON r.id = c.object_id
    WHERE c.id = ANY(%(ids)s) AND (c.kind <> 'updated' OR c.changes ?| %(columns)s)
    UNION SELECT c.changes->'entity'->>0 FROM core_change c WHERE c.id = ANY(%(ids)s)
)
"""
_RULE_COLUMNS = ["entity", "compare", "match", "threshold", "is_active"]
_CLAIM = """
DELETE FROM core_duplicatecheck WHERE id IN (
    SELECT id FROM core_duplicatecheck WHERE entity = %s ORDER BY id LIMIT %s
) RETURNING record_id
"""
_DELETE = """
DELETE FROM core_duplicatepair WHERE entity = %(entity)s AND dismissed_at IS NULL
AND (low_id = ANY(%(ids)s) OR high_id = ANY(%(ids)s)) RETURNING group_id
"""
# Those that somebody dismissed stay so.
_INSERT = """
INSERT INTO core_duplicatepair (entity, low_id, high_id, score, reasons, exact)
SELECT %s, low, high, score, string_to_array(reasons, ','), false
FROM unnest(%s::bigint[], %s::bigint[], %s::float8[], %s::text[]) AS f (low, high, score, reasons)
ON CONFLICT DO NOTHING
"""
# What holds of a record that was merged holds of the one that it is part of now.
_INHERIT = """
INSERT INTO core_duplicatepair (entity, low_id, high_id, score, reasons, exact, dismissed_at, dismissed_by_id)
SELECT DISTINCT ON (2, 3) p.entity, least(m.survivor, o.other), greatest(m.survivor, o.other), 0, '{}', false,
    p.dismissed_at, p.dismissed_by_id
FROM unnest(%(merged)s::bigint[], %(survivors)s::bigint[]) AS m (merged, survivor)
JOIN core_duplicatepair p ON p.entity = %(entity)s AND p.dismissed_at IS NOT NULL
    AND (p.low_id = m.merged OR p.high_id = m.merged)
CROSS JOIN LATERAL (SELECT p.low_id + p.high_id - m.merged AS other) AS o WHERE o.other <> m.survivor
ON CONFLICT (entity, low_id, high_id) DO UPDATE SET dismissed_at = excluded.dismissed_at,
    dismissed_by_id = excluded.dismissed_by_id, group_id = NULL
"""
# Those who have a reason for each other that is none any more.
_CHECK_CROWD = """
INSERT INTO core_duplicatecheck (entity, record_id)
SELECT DISTINCT %(entity)s, pk FROM core_duplicatepair CROSS JOIN unnest(ARRAY[low_id, high_id]) AS pk
WHERE entity = %(entity)s AND dismissed_at IS NULL AND reasons @> ARRAY[%(reason)s]::varchar[]
AND low_id = ANY(%(crowd)s) AND high_id = ANY(%(crowd)s)
"""


def consume(batch: ChangeBatch) -> None:
    """Note the records whose changes may make or end duplicates; after a change of rules, all."""
    entity = entities.get(batch.entity)
    if batch.entity == "duplicate_rule":
        _execute(_RESCAN, {"ids": batch.ids, "columns": _RULE_COLUMNS})
    elif entity is not None and entity.duplicates:
        names = {column for comparison in entity.duplicates for column in comparison.columns}
        _execute(_NOTE, [batch.ids, [*names, "custom_fields"]])


consumers.register("duplicates", consume)


def rescan() -> None:
    """Have all records compared anew."""
    DuplicateScan.objects.update(after_id=0)


def find(turn: Turn) -> int:
    """Compare what waits until the turn is over, entity by entity in turn; returns how many records were
    compared."""
    total, waiting = 0, [entity for entity in entities if entity.duplicates]
    while waiting and not turn.is_over:
        compared = {entity.name: find_once(entity) for entity in waiting}
        total += sum(compared.values())
        waiting = [entity for entity in waiting if compared[entity.name]]
    return total


def find_once(entity: Entity) -> int:
    """Compare some records in one transaction; 0 where none waits or somebody else is at it."""
    with transaction.atomic():
        if not try_lock(FINDING_DUPLICATES, entity.name):
            return 0
        reasons = reasons_of(entity)
        is_fuzzy = any(reason.question.threshold is not None for reason in reasons)
        ids = _claim(entity, FUZZY_CHUNK if is_fuzzy else CHUNK)
        if ids:
            _compare(entity, reasons, ids)
        return len(ids)


def _claim(entity: Entity, size: int) -> list[int]:
    """The ids of records to be compared: those that changed, then those that a scan comes to."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [entity.name, size])
        ids = [row[0] for row in cursor.fetchall()]
    DuplicateScan.objects.get_or_create(entity=entity.name)
    scan = DuplicateScan.objects.select_for_update().get(entity=entity.name)
    room = size - len(ids)
    if scan.after_id is not None and room:
        rows = entity.model.objects.filter(pk__gt=scan.after_id, archived_at=None).order_by("pk")
        more = list(rows.values_list("pk", flat=True)[:room])
        scan.after_id = more[-1] if len(more) == room else None
        scan.save(update_fields=["after_id"])
        ids += more
    return list(dict.fromkeys(ids))


def _compare(entity: Entity, reasons: Sequence[DuplicateReason], ids: Sequence[int]) -> None:
    """Replace the pairs that records are part of by those that they make now."""
    rows = list(
        entity.model.objects.filter(EqualsAny(F("pk"), ids))
        .order_by("pk")
        .values("id", "archived_at", *columns_of(reasons))
    )
    found = pairs_of(reasons, [row for row in rows if row["archived_at"] is None])
    _forget_deleted(entity, set(ids) - {row["id"] for row in rows})
    left = _inherit_dismissals(entity, [row["id"] for row in rows if row["archived_at"] is not None])
    regroup(entity, left | _replaced(entity, ids, found))
    for reason, crowd in found.crowds.items():
        _execute(_CHECK_CROWD, {"entity": entity.name, "reason": reason, "crowd": list(crowd)})


def _replaced(entity: Entity, ids: Sequence[int], found: FoundPairs) -> set[int | None]:
    """Store the pairs that were found in place of those that were there; the groups of the latter."""
    with connection.cursor() as cursor:
        cursor.execute(_DELETE, {"entity": entity.name, "ids": list(ids)})
        groups = {row[0] for row in cursor.fetchall()}
        if found.pairs:
            rows = [(*pair, score_of(why), _names(why)) for pair, why in sorted(found.pairs.items())]
            cursor.execute(_INSERT, [entity.name, *(list(column) for column in zip(*rows, strict=True))])
    return groups


def _names(reasons: Mapping[str, DuplicateReason]) -> str:
    return ",".join(sorted(reason.name for reason in reasons.values()))


def _forget_deleted(entity: Entity, ids: Collection[int]) -> None:
    """What was said of records that are not there any more goes with them."""
    if ids:
        pairs_with(entity, ids).exclude(dismissed_at=None).delete()


def _inherit_dismissals(entity: Entity, archived: Collection[int]) -> set[int | None]:
    """Dismiss for the survivors what was dismissed for those that were merged into them; the groups that
    these are in."""
    survivors = aliases.survivors_of(entity, archived) if archived else {}
    if not survivors:
        return set()
    groups = set(pairs_with(entity, survivors.values()).values_list("group_id", flat=True))
    merged, into = list(survivors), list(survivors.values())
    _execute(_INHERIT, {"entity": entity.name, "merged": merged, "survivors": into})
    return groups


def _execute(statement: str, params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
