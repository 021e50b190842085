"""Finding records that may be the same: in the background, some thousand at a time, only what has changed.

A consumer of changes notes which records changed (`DuplicateCheck`). A task compares these with what is
stored, and where the rules changed, nothing was compared yet or a week is over, all records in the order of
their ids (`DuplicateScan`). What it finds are pairs; the records that pairs connect are a group (groups.py).
"""

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction
from django.db.models import F

from core.changes import ChangeBatch, consumers
from core.changes.expressions import EqualsAny
from core.duplicates.groups import pairs_with, regroup
from core.duplicates.models import DuplicateCheck, DuplicatePair, DuplicateScan
from core.duplicates.reasons import (
    DuplicateReason,
    FoundPairs,
    columns_of,
    left_behind,
    pairs_of,
    reasons_of,
    score_of,
)
from core.entities import Entity, entities
from core.entities.comparisons import Key, holders_sql
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
INSERT INTO core_duplicatecheck (entity, record_id, former)
SELECT entity, object_id, (
    SELECT jsonb_object_agg(a.key, a.value->0) FROM jsonb_each(changes) AS a WHERE a.key = ANY(%(columns)s)
) FROM core_change WHERE id = ANY(%(ids)s) AND (kind <> 'updated' OR changes ?| %(columns)s) ORDER BY id
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
) RETURNING record_id, is_echo, former
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
# Those of many records with one value who have a reason that may be none any more.
_STALE = """
SELECT f.id FROM ({holders}) AS f WHERE EXISTS (
    SELECT 1 FROM core_duplicatepair WHERE entity = %s AND low_id = f.id AND dismissed_at IS NULL
    AND reasons @> ARRAY[%s]::varchar[])
OR EXISTS (
    SELECT 1 FROM core_duplicatepair WHERE entity = %s AND high_id = f.id AND dismissed_at IS NULL
    AND reasons @> ARRAY[%s]::varchar[])
"""
# How many records with one value are looked at for that.
HUB = 10_000
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
        _execute(_NOTE, {"ids": batch.ids, "columns": [*names, "custom_fields"]})


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
            log.error("left out of comparing %s: %s", entity.name, list(_claim(entity, size).echoes))


@dataclass
class ClaimedRecords:
    """The ids of records to be compared and whether they are echoes; and what changes took away from them, by
    id, the latest first."""

    echoes: dict[int, bool] = field(default_factory=dict)
    former: dict[int, list[Mapping[str, Any]]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.echoes)

    def add(self, pk: int, is_echo: bool, former: Any) -> None:
        self.echoes[pk] = is_echo and self.echoes.get(pk, True)
        if former:
            values = json.loads(former) if isinstance(former, str) else former
            self.former.setdefault(pk, []).insert(0, values)

    def states_left(self, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The states that the records have left: those of the archived ones, and those before each change."""
        present = {row["id"]: row for row in rows}
        states: list[Mapping[str, Any]] = [row for row in rows if row["archived_at"] is not None]
        for pk, changes in self.former.items():
            state = present.get(pk, {"id": pk})
            for values in changes:
                state = {**state, **values}
                states.append(state)
        return states


def _claim(entity: Entity, size: int) -> ClaimedRecords:
    """Records to be compared, those that changed, then those that a scan comes to. Call under the lock
    FINDING_DUPLICATES."""
    claimed = ClaimedRecords()
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [entity.name, size])
        for row in cursor.fetchall():
            claimed.add(*row)
    scan = DuplicateScan.objects.get(entity=entity.name)
    if claimed.echoes.pop(ALL, None) is not None:
        scan.after_id = 0
    room = size - len(claimed)
    if scan.after_id is not None and room > 0:
        rows = entity.model.objects.filter(pk__gt=scan.after_id, archived_at=None).order_by("pk")
        more = list(rows.values_list("pk", flat=True)[:room])
        scan.after_id = more[-1] if len(more) == room else None
        claimed.echoes |= dict.fromkeys(more, False)
    # Twice as many the next time, up to what a chunk is, where a failure had made it fewer.
    scan.chunk = min(CHUNK, max(scan.chunk, 2 * size))
    scan.save(update_fields=["after_id", "chunk"])
    return claimed


def _compare(entity: Entity, reasons: Sequence[DuplicateReason], claimed: ClaimedRecords) -> None:
    """Replace the pairs that records are part of by those that they make now."""
    ids = list(claimed.echoes)
    rows = list(
        entity.model.objects.filter(EqualsAny(F("pk"), ids))
        .order_by("pk")
        .values("id", "archived_at", *columns_of(reasons))
    )
    echoes = {pk for pk, is_echo in claimed.echoes.items() if is_echo}
    found = pairs_of(reasons, [row for row in rows if row["archived_at"] is None], echoes)
    _forget_deleted(entity, set(ids) - {row["id"] for row in rows})
    regroup(entity, _replaced(entity, ids, found))
    for place, keys in found.hubs.items():
        stale = _stale(entity, reasons[place], sorted(keys))
        found.crowds.setdefault(reasons[place].name, set()).update(stale)
    _check_left_behind(entity, reasons, claimed.states_left(rows))
    for reason, crowd in found.crowds.items():
        _execute(_CHECK_CROWD, {"entity": entity.name, "reason": reason, "crowd": list(crowd)})


def _stale(entity: Entity, reason: DuplicateReason, keys: Sequence[Key]) -> set[int]:
    """Those that share a key with many and have a pair for this reason: many may have come at once, so that
    what one of them finds is nobody who was there before."""
    holders, params = holders_sql(reason.question, keys, HUB)
    with connection.cursor() as cursor:
        pair = [entity.name, reason.name]
        cursor.execute(_STALE.format(holders=holders), [*params, *pair, *pair])
        return {row[0] for row in cursor.fetchall()}


def _check_left_behind(
    entity: Entity, reasons: Sequence[DuplicateReason], left: Sequence[Mapping[str, Any]]
) -> None:
    """Have those compared that shared something with too many until others left: they make no pairs yet."""
    groups = left_behind(reasons, left) if left else []
    if not groups:
        return
    rows = DuplicatePair.objects.filter(
        EqualsAny(F("low_id"), [ids[0] for _, ids in groups]),
        EqualsAny(F("high_id"), [ids[1] for _, ids in groups]),
        entity=entity.name,
    )
    known = {(low, high): names for low, high, names in rows.values_list("low_id", "high_id", "reasons")}
    wanted = {pk for name, ids in groups if name not in known.get((ids[0], ids[1]), ()) for pk in ids}
    checks = (DuplicateCheck(entity=entity.name, record_id=pk, is_echo=True) for pk in sorted(wanted))
    DuplicateCheck.objects.bulk_create(checks)


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


def _execute(statement: str, params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
