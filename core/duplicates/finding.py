"""Finding records that may be the same: in the background, some thousand at a time, only what has changed.

A consumer of changes notes which records changed (`DuplicateCheck`). A task compares these with what is
stored, and where the rules changed, nothing was compared yet or a week is over, all records in the order of
their ids (`DuplicateScan`). What it finds are pairs; the records that pairs connect are a group (groups.py).
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db import connection, transaction
from django.db.models import F

from core.changes import ChangeBatch, consumers
from core.changes.expressions import EqualsAny
from core.duplicates.groups import pairs_with, regroup
from core.duplicates.models import DuplicateCheck, DuplicateScan
from core.duplicates.reasons import (
    DuplicateReason,
    FoundPairs,
    columns_of,
    pairs_of,
    reasons_of,
    score_of,
)
from core.entities import Entity, aliases, entities
from core.entities.locks import FINDING_DUPLICATES, try_lock
from core.jobs import Turn

log = logging.getLogger(__name__)

# Records compared by one transaction at most, and where each of them costs a search by trigrams.
CHUNK, FUZZY_CHUNK = 2_000, 100
# Seconds that one statement about them may take.
STATEMENT_S = 20
# Stands in DuplicateCheck for all records of an entity.
ALL = 0

_NOTE = """
INSERT INTO core_duplicatecheck (entity, record_id)
SELECT DISTINCT entity, object_id FROM core_change
WHERE id = ANY(%s) AND (kind <> 'updated' OR changes ?| %s)
"""
# The entities that changed rules are about, and were about before.
_RESCAN = """
INSERT INTO core_duplicatecheck (entity, record_id)
SELECT about.entity, %(all)s FROM (
    SELECT r.entity FROM core_change c JOIN core_duplicaterule r ON r.id = c.object_id
    WHERE c.id = ANY(%(ids)s) AND (c.kind <> 'updated' OR c.changes ?| %(columns)s)
    UNION SELECT c.changes->'entity'->>0 FROM core_change c WHERE c.id = ANY(%(ids)s)
) AS about WHERE about.entity = ANY(%(known)s)
"""
_RULE_COLUMNS = ["entity", "compare", "match", "threshold", "is_active"]
_CLAIM = """
DELETE FROM core_duplicatecheck WHERE id IN (
    SELECT id FROM core_duplicatecheck WHERE entity = %s ORDER BY id LIMIT %s
) RETURNING record_id, is_echo
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
# Those who have a reason that may be none any more. They have nobody else compared for it: it would not end.
_CHECK_CROWD = """
INSERT INTO core_duplicatecheck (entity, record_id, is_echo)
SELECT DISTINCT %(entity)s, pk, true FROM core_duplicatepair CROSS JOIN unnest(ARRAY[low_id, high_id]) AS pk
WHERE entity = %(entity)s AND dismissed_at IS NULL AND reasons @> ARRAY[%(reason)s]::varchar[]
AND (low_id = ANY(%(crowd)s) OR high_id = ANY(%(crowd)s))
"""


def consume(batch: ChangeBatch) -> None:
    """Note the records whose changes may make or end duplicates; after a change of rules, all."""
    entity = entities.get(batch.entity)
    if batch.entity == "duplicate_rule":
        known = [entity.name for entity in _compared()]
        _execute(_RESCAN, {"ids": batch.ids, "columns": _RULE_COLUMNS, "known": known, "all": ALL})
    elif entity is not None and entity.duplicates:
        names = {column for comparison in entity.duplicates for column in comparison.columns}
        _execute(_NOTE, [batch.ids, [*names, "custom_fields"]])


consumers.register("duplicates", consume)


def _compared() -> list[Entity]:
    return [entity for entity in entities if entity.duplicates]


def rescan() -> None:
    """Have all records compared anew."""
    rows = [DuplicateCheck(entity=entity.name, record_id=ALL) for entity in _compared()]
    DuplicateCheck.objects.bulk_create(rows)


def find(turn: Turn) -> int:
    """Compare what waits until the turn is over, entity by entity in turn; returns how many records were
    compared."""
    total, waiting = 0, _compared()
    while waiting and not turn.is_over:
        compared = {entity.name: find_once(entity) for entity in waiting}
        total += sum(compared.values())
        waiting = [entity for entity in waiting if compared[entity.name]]
    return total


def find_once(entity: Entity) -> int:
    """Compare some records; returns how many: 0 where none waits, somebody else is at it, or it failed. Then
    half as many are compared the next time, and one that fails alone is left out."""
    reasons = reasons_of(entity)
    scan, _ = DuplicateScan.objects.get_or_create(entity=entity.name)
    is_fuzzy = any(reason.question.threshold is not None for reason in reasons)
    size = min(scan.chunk, FUZZY_CHUNK if is_fuzzy else CHUNK)
    try:
        return _find_some(entity, reasons, size)
    except Exception:  # whatever it is, the other entities and records are compared all the same
        log.exception("could not compare %s records of %s", size, entity.name)
        _take_fewer(entity, size)
        return 0


def _find_some(entity: Entity, reasons: Sequence[DuplicateReason], size: int) -> int:
    """Compare as many records in one transaction."""
    with transaction.atomic():
        if not try_lock(FINDING_DUPLICATES, entity.name):
            return 0
        _execute("SELECT set_config('statement_timeout', %s, true)", [str(STATEMENT_S * 1000)])
        claimed = _claim(entity, size)
        if claimed:
            _compare(entity, reasons, claimed)
        return len(claimed)


def _take_fewer(entity: Entity, size: int) -> None:
    with transaction.atomic():
        if not try_lock(FINDING_DUPLICATES, entity.name):
            return
        if size > 1:
            DuplicateScan.objects.filter(entity=entity.name).update(chunk=size // 2)
        else:
            log.error("left out of comparing %s: %s", entity.name, list(_claim(entity, size)))


def _claim(entity: Entity, size: int) -> dict[int, bool]:
    """The ids of records to be compared, those that changed, then those that a scan comes to, and whether
    they are echoes. Call under the lock FINDING_DUPLICATES."""
    claimed: dict[int, bool] = {}
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [entity.name, size])
        for pk, is_echo in cursor.fetchall():
            claimed[pk] = is_echo and claimed.get(pk, True)
    scan = DuplicateScan.objects.get(entity=entity.name)
    if claimed.pop(ALL, None) is not None:
        scan.after_id = 0
    room = size - len(claimed)
    if scan.after_id is not None and room > 0:
        rows = entity.model.objects.filter(pk__gt=scan.after_id, archived_at=None).order_by("pk")
        more = list(rows.values_list("pk", flat=True)[:room])
        scan.after_id = more[-1] if len(more) == room else None
        claimed |= dict.fromkeys(more, False)
    # Twice as many the next time, up to what a chunk is, where a failure had made it fewer.
    scan.chunk = min(CHUNK, max(scan.chunk, 2 * size))
    scan.save(update_fields=["after_id", "chunk"])
    return claimed


def _compare(entity: Entity, reasons: Sequence[DuplicateReason], claimed: Mapping[int, bool]) -> None:
    """Replace the pairs that records are part of by those that they make now."""
    ids = list(claimed)
    rows = list(
        entity.model.objects.filter(EqualsAny(F("pk"), ids))
        .order_by("pk")
        .values("id", "archived_at", *columns_of(reasons))
    )
    echoes = {pk for pk, is_echo in claimed.items() if is_echo}
    found = pairs_of(reasons, [row for row in rows if row["archived_at"] is None], echoes)
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
