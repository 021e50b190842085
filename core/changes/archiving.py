"""Months of old changes out of the table into files, sealed in the chain as such (docs/audit.md#archives).

A month is written whole, read back and compared with its seals before a change of it is deleted, and is
then deleted in portions, each with the seal that says where it is. Whatever ends this in between, each change
is in the table or in a file that the chain names. Only the role that owns the tables may do it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date
from pathlib import Path

from django.db import connection, transaction

from core.changes import archive_files
from core.changes.archive_files import ArchiveBrokenError, FiledSeal
from core.changes.archived import begin, following
from core.changes.models import Change, ChangeArchive
from core.changes.verifying import change_as_json

# Changes that are deleted by one transaction: while it runs, the feed waits.
PORTION = 20_000
# What is not dispatched yet, and the first change of the next month, stay.
_END = """
SELECT max(s.last_id) FROM core_auditseal s WHERE s.ids IS NOT NULL AND s.last_id < least(
    (SELECT c.id FROM core_change c WHERE c.at >= %s ORDER BY c.id LIMIT 1),
    (SELECT min(o.min_id) FROM core_outbox o),
    (SELECT min(i) FROM core_faileddispatch f, unnest(f.change_ids) AS i),
    9223372036854775807
)
"""
_SEALS = """
SELECT id, first_id, last_id, rows, salt, digest FROM core_auditseal
WHERE ids IS NOT NULL AND last_id <= %s ORDER BY first_id
"""
_CHANGES = """
SELECT id, entity, object_id, kind, changes::text, actor_id, source, request_id, import_id, execution_id,
    agent_session_id, agent, depth, at
FROM core_change WHERE id BETWEEN %s AND %s ORDER BY id
"""
_IN_FORCE = "SELECT id, first_id, rows FROM core_auditseal WHERE ids IS NOT NULL AND last_id <= %s"
_DELETE = """
WITH gone AS (DELETE FROM core_change WHERE id BETWEEN %s AND %s RETURNING xid)
SELECT count(*), coalesce(max(xid), '0'::xid8) FROM gone
"""


@dataclass(frozen=True)
class SealInForce:
    id: int
    first_id: int
    last_id: int
    rows: int
    salt: bytes
    digest: bytes


def archive(before: date, folder: Path) -> Iterator[ChangeArchive]:
    """Archive each month that lies wholly before a day, the oldest first. Raises ArchiveBrokenError,
    OSError."""
    at = Change.objects.order_by("pk").values_list("at", flat=True).first()
    month = at.astimezone(UTC).date().replace(day=1) if at else before
    while (end := following(month)) <= before:
        if seals := _seals_until(end):
            yield _archive(month, seals, folder)
        month = end


def _seals_until(end: date) -> list[SealInForce]:
    """The seals in force about changes from before the end of a month, empty where there is none to archive;
    those without changes are about what went before."""
    with connection.cursor() as cursor:
        cursor.execute(_END, [begin(end)])
        cursor.execute(_SEALS, [cursor.fetchone()[0] or 0])
        found = [SealInForce(*row) for row in cursor.fetchall()]
    return found if any(seal.rows for seal in found) else []


def _archive(month: date, seals: list[SealInForce], folder: Path) -> ChangeArchive:
    full = [seal for seal in seals if seal.rows]
    path = folder / f"changes-{month:%Y-%m}-{full[0].first_id}-{full[-1].last_id}.jsonl.gz"
    archive_files.write(path, (_filed(seal) for seal in full))
    _compare(path, full)
    made = ChangeArchive(
        month=month,
        file=path.name,
        sha256=archive_files.hash_of(path),
        first_id=full[0].first_id,
        rows=0,
        last_xid=0,
    )
    for portion in _portions(full):
        _remove(made, portion)
    return made


def _filed(seal: SealInForce) -> FiledSeal:
    with connection.cursor() as cursor:
        cursor.execute(_CHANGES, [seal.first_id, seal.last_id])
        return FiledSeal(
            seal.id, bytes(seal.salt), {row[0]: change_as_json(*row) for row in cursor.fetchall()}
        )


def _compare(path: Path, seals: Sequence[SealInForce]) -> None:
    """Read the file, and raise ArchiveBrokenError unless it holds what was sealed."""
    wanted = {seal.id: bytes(seal.digest) for seal in seals}
    for filed in archive_files.read(path):
        if wanted.pop(filed.id, None) != filed.digest:
            path.unlink()
            raise ArchiveBrokenError(
                f"The changes of seal {filed.id} are not as they were sealed: see audit_verify."
            )
    if wanted:
        raise ArchiveBrokenError(f"{path.name} lacks seal {min(wanted)}")


def _portions(seals: Sequence[SealInForce]) -> Iterator[list[SealInForce]]:
    portion: list[SealInForce] = []
    for seal in seals:
        if portion and sum(one.rows for one in portion) + seal.rows > PORTION:
            yield portion
            portion = []
        portion.append(seal)
    yield portion


def _remove(made: ChangeArchive, portion: Sequence[SealInForce]) -> None:
    """Delete the changes of seals, and put one in their place that says where they are."""
    last = portion[-1].last_id
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT core_auditseal_lock()")
        cursor.execute(_IN_FORCE, [last])
        found = cursor.fetchall()
        if {pk for pk, _, rows in found if rows} != {seal.id for seal in portion}:
            raise ArchiveBrokenError(
                f"An erasure changed what is in {made.file} meanwhile: begin again; docs/privacy.md says what"
                " to do with the file."
            )
        cursor.execute("SET LOCAL crm.maintenance = 'on'")
        cursor.execute(_DELETE, [portion[0].first_id, last])
        rows, xid = cursor.fetchone()
        first = min(first_id for _, first_id, _ in found)
        reason = f"archive {made.month:%Y-%m} sha256 {made.sha256}"
        cursor.execute(
            "SELECT core_auditseal_replace(%s::bigint[], 'archived', %s, %s, %s, '{}', %s)",
            [[pk for pk, *_ in found], first, last, rows, reason],
        )
        made.rows, made.last_id, made.last_xid = made.rows + rows, last, max(made.last_xid, int(xid))
        made.save()
