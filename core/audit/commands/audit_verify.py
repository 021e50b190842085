"""`manage.py audit_verify [--since 2026-01-31] [--anchor FILE] [--archive DIR]`."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.changes import seals
from core.changes.verifying import NAMED, AuditReport, verify


class Command(BaseCommand):
    help = "Compare the change table with its seals; ends with 1 and names the first row that was touched."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--since",
            metavar="DATE",
            help="Compare the rows of seals made from then on; the chain is followed from its beginning.",
        )
        parser.add_argument(
            "--anchor", metavar="FILE", help="Anchors that were kept elsewhere, one a line (audit_anchor)."
        )
        parser.add_argument(
            "--archive",
            metavar="DIR",
            type=Path,
            help="Compare archived changes in their files (archive_changes).",
        )

    def handle(
        self, *args: Any, since: str | None, anchor: str | None, archive: Path | None = None, **options: Any
    ) -> None:
        if archive and not archive.is_dir():
            raise CommandError(f"{archive} is no folder.")
        report = verify(_moment(since) if since else None, _anchors(anchor) if anchor else (), archive)
        for line in _lines(report):
            self.stdout.write(line)
        if report.problems:
            raise CommandError("\n".join(report.problems[:NAMED]))
        self.stdout.write("Nothing was touched.")


def _moment(text: str) -> datetime:
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError("--since takes a date or a time, such as 2026-01-31.") from None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _anchors(path: str) -> list[dict[str, Any]]:
    try:
        return seals.read_anchors(iter(Path(path).read_text().splitlines()))
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} holds no anchors: {error}") from None


def _lines(report: AuditReport) -> list[str]:
    """What was compared, and what was changed with a reason."""
    done = {"erased": "changed by an erasure", "pruned": "removed by the retention", "archived": "archived"}
    by_reason: dict[tuple[str, str], int] = {}
    for _, kind, rows, reason in report.reasons:
        by_reason[kind, reason] = by_reason.get((kind, reason), 0) + rows
    if report.archived is None:
        archived = ["Archived changes were not compared: --archive names the folder of their files."]
    else:
        archived = [f"{report.archived} archived changes compared."]
    return [
        f"{report.seals} seals, {report.rows} changes compared, {report.unsealed} not sealed yet.",
        *(f"{rows} changes were {done[kind]} ({reason})." for (kind, reason), rows in by_reason.items()),
        *(archived if any(kind == "archived" for kind, _ in by_reason) else ()),
    ]
