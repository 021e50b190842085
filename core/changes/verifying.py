"""Comparing the change table with its seals: what was changed, removed or added behind them is named."""

import json
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.db import connection

from core.changes import archive_files, seals
from core.changes.archive_files import ArchiveBrokenError
from core.changes.models import AuditSeal, AuditVerification, Change

# Seals whose links are compared by one statement, and changes whose hashes are.
LINKS, ROWS = 500, 10_000
NAMED = 100

# Plain rows alone are read, and what they ought to be is computed here: whoever touches rows can make a
# function of the database say anything.
_LINKS = """
SELECT s.id, s.kind, s.rows, s.affected, s.touched, s.unsealed, s.reason, s.at, s.first_id, s.last_id,
    s.actor_id, s.previous, s.digest, s.hash,
    s.ids IS NOT NULL AS is_in_force, r.id IS NOT NULL AS is_replaced
FROM core_auditseal s LEFT JOIN core_auditseal r ON r.id = s.replaced_by AND r.id > s.id
    AND r.kind IN ('erased', 'pruned', 'archived') AND r.first_id <= s.first_id AND r.last_id >= s.last_id
    AND r.unsealed = '{}'
WHERE s.id > %s ORDER BY s.id LIMIT %s
"""
_SEALED = "SELECT id, salt, digest, ids, hashes FROM core_auditseal WHERE id = ANY(%s) AND ids IS NOT NULL"
_ROWS = """
SELECT s.id, c.id, c.entity, c.object_id, c.kind, c.changes::text, c.actor_id, c.source, c.request_id,
    c.import_id, c.execution_id, c.agent_session_id, c.agent, c.depth, c.at
FROM core_auditseal s JOIN core_change c ON c.id BETWEEN s.first_id AND s.last_id
WHERE s.id = ANY(%s) AND s.ids IS NOT NULL
"""
_GAPS = """
SELECT g.last_id, g.following FROM (
    SELECT last_id, lead(first_id) OVER (ORDER BY first_id) AS following, first_id,
        row_number() OVER (ORDER BY first_id) AS place
    FROM core_auditseal WHERE ids IS NOT NULL
) AS g WHERE g.following <> g.last_id + 1
UNION ALL SELECT 0, min(first_id) FROM core_auditseal WHERE ids IS NOT NULL HAVING min(first_id) <> 1
UNION ALL SELECT coalesce(max(last_id) FILTER (WHERE ids IS NOT NULL), 0), max(last_id) + 1
    FROM core_auditseal WHERE unsealed = '{}'
    HAVING max(last_id) > coalesce(max(last_id) FILTER (WHERE ids IS NOT NULL), 0)
"""
_STRAYS = """
SELECT id FROM core_change WHERE id < 1 OR id > (SELECT last_value FROM core_change_id_seq)
ORDER BY id LIMIT %s
"""
_ERASURES = """
SELECT id, counts->'core_change' FROM core_privacyrequest WHERE kind = 'erase' AND NOT dry_run
"""
_RETENTIONS = "SELECT at, days FROM core_changeretention ORDER BY id"
_OF_ERASURE = re.compile(r"privacy request (\d+)(, its own changes)?")
_ARCHIVED = """
SELECT r.reason, s.id, s.digest FROM core_auditseal r JOIN core_auditseal s ON s.replaced_by = r.id
WHERE r.kind = 'archived' AND s.rows > 0
"""
_OF_ARCHIVE = re.compile(r"archive \d{4}-\d\d sha256 ([0-9a-f]{64})")
_OF_RETENTION = re.compile(r"CHANGE_DAYS=(\d+)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class SealLink:
    """A seal without its hashes of rows."""

    id: int
    kind: str
    rows: int
    affected: int
    touched: list[int]
    unsealed: list[int]
    reason: str
    at: datetime
    first_id: int
    last_id: int
    actor_id: int | None
    previous: bytes
    digest: bytes
    hash: bytes
    is_in_force: bool
    is_replaced: bool

    @property
    def is_whole(self) -> bool:
        text = _as_json(
            self.id, self.kind, self.first_id, self.last_id, self.rows, self.affected, self.touched,
            self.unsealed, self.reason, self.actor_id, _microseconds(self.at),
        )  # fmt: skip
        return sha256(self.previous + self.digest + text.encode()).digest() == self.hash

    @property
    def is_bare(self) -> bool:
        """Whether its hashes are gone, and nothing says why."""
        return not (self.is_in_force or self.is_replaced or self.unsealed)

    def __str__(self) -> str:
        return f"seal {self.id} of {self.at:%Y-%m-%d %H:%M:%S} UTC"


@dataclass
class AuditReport:
    """What a verification found: sentences, the first row that was touched first, and what was changed or
    removed with a reason."""

    rows: int = 0
    seals: int = 0
    first_seal: int | None = None
    last_seal: int | None = None
    unsealed: int = 0
    anchors: int = 0
    # Archived changes that were compared in their files; None where these were not given.
    archived: int | None = None
    problems: list[str] = field(default_factory=list)
    # (seal, what, number of rows, reason)
    reasons: list[tuple[int, str, int, str]] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        return not self.problems


def verify(
    since: datetime | None = None,
    anchors: Sequence[dict[str, Any]] = (),
    archives: Path | None = None,
) -> AuditReport:
    """Compare the chain, and the rows of the seals made `since` (all by default), and note what was found;
    archived rows are compared in the files of the folder `archives`."""
    report, rows_wrong, links_wrong = AuditReport(anchors=len(anchors)), [], []
    wanted: dict[int, set[str]] = {}
    for given in anchors:
        wanted.setdefault(given["seal"], set()).add(given["hash"])
    before: SealLink | None = None
    founded, erased = _erasures(), dict[int, int]()
    retentions = _fetched(_RETENTIONS)
    for page in _pages():
        for link in page:
            links_wrong += _broken(link, before)
            rows_wrong += [
                (pk, f"change {pk} had been touched already when {link} was made ({link.reason})")
                for pk in link.touched
            ]
            if wanted.pop(link.id, set()) - {link.hash.hex()}:
                links_wrong.append(f"{link} is not the one that the anchor is of")
            if link.kind != AuditSeal.Kind.SEALED:
                report.reasons.append((link.id, link.kind, link.affected, link.reason))
                links_wrong += _unfounded(link, retentions, erased)
            before = link
        compared = [link for link in page if link.is_in_force and (since is None or link.at >= since)]
        if compared and report.first_seal is None:
            report.first_seal = compared[0].id
        for part in _parts(compared):
            rows_wrong += _touched(part)
            report.rows += sum(link.rows for link in part)
        report.seals += len(page)
    if before is not None:
        report.last_seal = before.id
    links_wrong += _ends(wanted, before)
    if not links_wrong:
        links_wrong += _gaps()
    report.archived, archives_wrong = _compare_archives(archives)
    links_wrong += archives_wrong
    links_wrong += _miscounted(erased, founded, _erasures())
    rows_wrong += [
        (pk, f"change {pk} has an id that was never given out") for (pk,) in _fetched(_STRAYS, NAMED)
    ]
    rows_wrong.sort(key=lambda one: one[0])
    report.problems = [sentence for _, sentence in rows_wrong] + links_wrong
    report.unsealed = seals.unsealed()
    _note(report)
    return report


def _pages() -> Iterator[list[SealLink]]:
    last = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_LINKS, [last, LINKS])
            rows = [SealLink(*row) for row in cursor.fetchall()]
        if not rows:
            return
        last = rows[-1].id
        yield rows


def _broken(link: SealLink, before: SealLink | None) -> list[str]:
    """What is wrong with a link by itself and with the one before it."""
    expected = before.id + 1 if before else 1
    if link.id != expected:
        missing = f"seal {expected}" if link.id == expected + 1 else f"seals {expected} to {link.id - 1}"
        return [f"{missing} {'was' if link.id == expected + 1 else 'were'} removed"]
    if not link.is_whole:
        return [f"{link} itself was changed"]
    if before and link.previous != before.hash:
        return [f"{before} itself was changed: {link} was made behind another"]
    if link.is_bare:
        return [f"{link} lost the hashes of its rows, and no erasure, retention or archive took its place"]
    return []


def _parts(links: list[SealLink]) -> Iterator[list[SealLink]]:
    """Seals in order, as many as have a bounded number of rows."""
    part: list[SealLink] = []
    for link in links:
        if part and sum(one.rows for one in part) + link.rows > ROWS:
            yield part
            part = []
        part.append(link)
    if part:
        yield part


def _touched(part: list[SealLink]) -> list[tuple[int, str]]:
    """Rows that are not as they were sealed, each with a sentence."""
    links = {link.id: link for link in part}
    found: dict[int, dict[int, bytes]] = {pk: {} for pk in links}
    sealed = _fetched(_SEALED, [*links])
    salts = {pk: salt for pk, salt, *_ in sealed}
    for pk, *row in _fetched(_ROWS, [*links]):
        if pk in salts:  # one that an erasure has replaced since is compared with what took its place
            found[pk][row[0]] = sha256(salts[pk] + change_as_json(*row).encode()).digest()
    wrong: list[tuple[int, int | None, str]] = []
    for pk, salt, digest, ids, hashes in sealed:
        parts = (struct.pack(">q", one) + value for one, value in zip(ids, hashes, strict=False))
        if len(ids) != len(hashes) or sha256(salt + b"".join(parts)).digest() != digest:
            wrong.append((pk, None, "digest"))
        expected = dict(zip(ids, hashes, strict=False))
        for one in sorted(expected.keys() | found[pk].keys()):
            if expected.get(one) != found[pk].get(one):
                what = "added" if one not in expected else "changed" if one in found[pk] else "removed"
                wrong.append((pk, one, what))
    wrong = sorted(wrong, key=lambda one: (one[1] or 0, one[0]))[:NAMED]
    present = Change.objects.in_bulk([pk for _, pk, _ in wrong if pk])
    return [
        (pk or links[seal].first_id, _sentence(links[seal], pk, what, present.get(pk)))
        for seal, pk, what in wrong
    ]


def change_as_json(pk: int, entity: str, object_id: int, kind: str, changes: str, *others: Any) -> str:
    """A change as it is sealed: the text of a JSON array, as PostgreSQL writes it."""
    *plain, at = others
    return (
        f"{_as_json(pk, entity, object_id, kind)[:-1]}, {changes}, {_as_json(*plain, _microseconds(at))[1:]}"
    )


def _as_json(*values: Any) -> str:
    return json.dumps(values, ensure_ascii=False)


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def _fetched(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params or None)
        return cursor.fetchall()


def _erasures() -> dict[int, int]:
    """Of each erasure how many changes it says that it rewrote."""
    rows = ((pk, json.loads(counts) if counts else {}) for pk, counts in _fetched(_ERASURES))
    return {pk: sum(counts.values()) for pk, counts in rows}


def _unfounded(link: SealLink, retentions: list[tuple[Any, ...]], erased: dict[int, int]) -> list[str]:
    """What a seal says that was done, and nobody asked for; what erasures did is added to `erased`."""
    if link.kind == AuditSeal.Kind.ARCHIVED:
        is_founded = _OF_ARCHIVE.fullmatch(link.reason) is not None
    elif link.kind == AuditSeal.Kind.PRUNED:
        given = _OF_RETENTION.fullmatch(link.reason)
        days = [days for at, days in retentions if at <= link.at][-1:]
        is_founded = bool(given and days and 0 < days[0] <= int(given[1]))
    else:
        given = _OF_ERASURE.fullmatch(link.reason)
        is_founded = given is not None
        if given and not given[2]:
            erased[int(given[1])] = erased.get(int(given[1]), 0) + link.affected
        elif given:
            erased.setdefault(int(given[1]), 0)
    return (
        [] if is_founded else [f"{link}: no erasure, no setting and no archive is about it ({link.reason})"]
    )


def _compare_archives(folder: Path | None) -> tuple[int | None, list[str]]:
    """How many changes are in the folder's files as they were sealed, and what is wrong with the others."""
    if folder is None:
        return None, []
    wanted: dict[str, dict[int, bytes]] = {}
    for reason, pk, digest in _fetched(_ARCHIVED):
        given = _OF_ARCHIVE.fullmatch(reason)
        wanted.setdefault(given[1] if given else reason, {})[pk] = bytes(digest)
    files = {archive_files.hash_of(path): path for path in sorted(folder.glob(archive_files.PATTERN))}
    rows, wrong = 0, []
    for hashed, digests in wanted.items():
        if hashed not in files:
            wrong.append(f"no file of {folder.name} is the archive of seal {min(digests)} (SHA-256 {hashed})")
            continue
        try:
            for seal in archive_files.read(files[hashed]):
                if digests.pop(seal.id, seal.digest) == seal.digest:
                    rows += len(seal.lines)
                else:
                    wrong.append(
                        f"the changes of seal {seal.id} in {files[hashed].name} are not the sealed ones"
                    )
        except ArchiveBrokenError as error:
            wrong.append(str(error))
            continue
        wrong += [f"seal {pk} is not in {files[hashed].name}" for pk in sorted(digests)]
    return rows, wrong


def _miscounted(erased: dict[int, int], before: dict[int, int], after: dict[int, int]) -> list[str]:
    """Erasures that did something else than they say; one may have gone on meanwhile."""
    return [
        f"seals say that privacy request {pk} rewrote {count} changes, and it says {after.get(pk, 'nothing')}"
        for pk, count in erased.items()
        if pk not in after or not before.get(pk, 0) <= count <= after[pk]
    ]


def _sentence(link: SealLink, pk: int | None, what: str, change: Change | None) -> str:
    if pk is None:
        return f"the hashes that {link} holds of its rows were changed"
    about = f" ({change.entity} {change.object_id}, {change.kind})" if change else ""
    return f"change {pk}{about} was {what} after {link} was made"


def _ends(missing: dict[int, set[str]], last: SealLink | None) -> list[str]:
    """The newest seals may be gone without a trace in what is left: an anchor knows of them."""
    end = last.id if last else 0
    beyond = [pk for pk in missing if pk > end]
    if not beyond:
        return []
    newest = max(beyond)
    first = "seal" if newest == end + 1 else f"seals {end + 1} to"
    return [
        f"{first} {newest} {'was' if newest == end + 1 else 'were'} removed: an anchor is of seal {newest}"
    ]


def _gaps() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(_GAPS)
        return [
            f"no seal is about the changes from {last + 1} to {following - 1}"
            for last, following in cursor.fetchall()
        ]


def _note(report: AuditReport) -> None:
    AuditVerification.objects.create(
        first_seal=report.first_seal,
        last_seal=report.last_seal,
        rows=report.rows,
        anchors=report.anchors,
        problems=len(report.problems),
        first_problem=report.problems[0] if report.problems else "",
    )
