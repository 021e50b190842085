"""Comparing the change table with its seals: what was changed, removed or added behind them is named."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from core.changes import seals
from core.changes.models import AuditSeal, AuditVerification, Change

# Seals whose links are compared by one statement, and changes whose hashes are.
LINKS, ROWS = 500, 50_000
NAMED = 100

_LINKS = """
SELECT s.id, s.kind, s.rows, s.affected, s.touched, s.reason, s.at, s.first_id, s.last_id, s.previous, s.hash,
    s.hash = core_auditseal_hash(s) AS is_whole,
    s.ids IS NOT NULL AS is_in_force,
    s.ids IS NULL AND NOT EXISTS (
        SELECT FROM core_auditseal r WHERE r.id > s.id AND r.kind IN ('erased', 'pruned')
            AND r.first_id <= s.first_id AND r.last_id >= s.last_id
    ) AS is_bare
FROM core_auditseal s WHERE s.id > %s ORDER BY s.id LIMIT %s
"""
_ROWS = """
WITH s AS MATERIALIZED (SELECT * FROM core_auditseal WHERE id = ANY(%(seals)s) AND ids IS NOT NULL),
sealed AS (SELECT s.id AS seal, u.id, u.hash FROM s, unnest(s.ids, s.hashes) AS u(id, hash)),
found AS (
    SELECT s.id AS seal, c.id, core_change_hash(c, s.salt) AS hash
    FROM s JOIN core_change c ON c.id BETWEEN s.first_id AND s.last_id
)
SELECT coalesce(sealed.seal, found.seal), coalesce(sealed.id, found.id),
    CASE WHEN found.id IS NULL THEN 'removed' WHEN sealed.id IS NULL THEN 'added' ELSE 'changed' END
FROM sealed FULL JOIN found ON found.id = sealed.id
WHERE sealed.hash IS DISTINCT FROM found.hash
UNION ALL
SELECT s.id, NULL, 'digest' FROM s WHERE s.digest <> core_auditseal_digest(s.salt, s.ids, s.hashes)
ORDER BY 2 NULLS FIRST, 1
LIMIT %(named)s
"""
_GAPS = """
SELECT g.last_id, g.following FROM (
    SELECT last_id, lead(first_id) OVER (ORDER BY first_id) AS following, first_id,
        row_number() OVER (ORDER BY first_id) AS place
    FROM core_auditseal WHERE ids IS NOT NULL
) AS g WHERE g.following <> g.last_id + 1
UNION ALL SELECT 0, min(first_id) FROM core_auditseal WHERE ids IS NOT NULL HAVING min(first_id) <> 1
"""


@dataclass(frozen=True)
class SealLink:
    """A seal without its hashes of rows."""

    id: int
    kind: str
    rows: int
    affected: int
    touched: list[int]
    reason: str
    at: datetime
    first_id: int
    last_id: int
    previous: bytes
    hash: bytes
    is_whole: bool
    is_in_force: bool
    is_bare: bool

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
    problems: list[str] = field(default_factory=list)
    # (seal, what, number of rows, reason)
    reasons: list[tuple[int, str, int, str]] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        return not self.problems


def verify(
    since: datetime | None = None,
    anchors: Sequence[dict[str, Any]] = (),
) -> AuditReport:
    """Compare the chain, and the rows of the seals made `since` (all by default), and note what was found."""
    report, rows_wrong, links_wrong = AuditReport(anchors=len(anchors)), [], []
    wanted = {given["seal"]: given for given in anchors}
    before: SealLink | None = None
    for page in _pages():
        for link in page:
            links_wrong += _broken(link, before)
            rows_wrong += [
                (pk, f"change {pk} had been touched already when {link} was made ({link.reason})")
                for pk in link.touched
            ]
            if (given := wanted.pop(link.id, None)) and given["hash"] != link.hash.hex():
                links_wrong.append(f"{link} is not the one that the anchor is of")
            if link.kind != AuditSeal.Kind.SEALED:
                report.reasons.append((link.id, link.kind, link.affected, link.reason))
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
        return [f"{link} lost the hashes of its rows, and no erasure or retention took its place"]
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
    with connection.cursor() as cursor:
        cursor.execute(_ROWS, {"seals": list(links), "named": NAMED})
        found = cursor.fetchall()
    present = Change.objects.in_bulk([pk for _, pk, _ in found if pk])
    return [
        (pk or links[seal].first_id, _sentence(links[seal], pk, what, present.get(pk)))
        for seal, pk, what in found
    ]


def _sentence(link: SealLink, pk: int | None, what: str, change: Change | None) -> str:
    if pk is None:
        return f"the hashes that {link} holds of its rows were changed"
    about = f" ({change.entity} {change.object_id}, {change.kind})" if change else ""
    return f"change {pk}{about} was {what} after {link} was made"


def _ends(missing: dict[int, dict[str, Any]], last: SealLink | None) -> list[str]:
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
