"""What came of an import: figures, and every row that did not go in."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import orjson
from django.db import connection
from psycopg.types.json import Jsonb

from core.transfer.models import ImportIssue, ImportJob

CAME_IN = ("created", "updated", "unchanged")
OUTCOMES = ("created", "updated", "unchanged", "skipped", "failed")
IN_MEMORY = 4 << 20
Kind = ImportIssue.Kind


@dataclass
class ReportRow:
    """One row that was refused or left out (or, of an undo, one record that was kept)."""

    kind: str
    row: int = 0
    line: int = 0
    cells: list[str] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    object_id: int | None = None


@dataclass
class _WarningCount:
    row: int
    message: str
    rows: int = 0


class Report:
    """Figures in memory, rows in a temporary file, so that memory does not grow with them."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        # Closed with the report: it outlives every block here.
        self.file: BinaryIO = tempfile.SpooledTemporaryFile(IN_MEMORY)  # type: ignore[assignment]  # noqa: SIM115
        self.entries = 0
        # (column, field, code) → rows with such a warning, the first of them, and what it says.
        self.warned: dict[tuple[str, str, str], _WarningCount] = {}

    def add(self, entry: ReportRow) -> None:
        self.entries += 1
        self.file.write(orjson.dumps(vars(entry)) + b"\n")

    def warn(self, row: int, warnings: Iterable[Any]) -> None:
        """A row that came in with warnings (core.transfer.checked.Fault)."""
        self.counts["warned"] += 1
        for warning in warnings:
            key = warning.column, warning.field, warning.code
            found = self.warned.setdefault(key, _WarningCount(row, warning.message))
            found.rows += 1

    def notes(self) -> list[dict[str, Any]]:
        """One warning for each column whose cells were left out or doubted, with how many there are."""
        return [
            {
                "code": code, "column": column, "field": field, "rows": found.rows,
                "message": f"{column or 'Text'}: {found.rows} rows, first row {found.row}. {found.message}",
            }
            for (column, field, code), found in self.warned.items()
        ]  # fmt: skip

    def first_faulty_row(self) -> ReportRow | None:
        """The first row that was refused."""
        return next((entry for entry in self if entry.kind == Kind.ERROR), None)

    def count(self, outcomes: list[str]) -> None:
        self.counts.update(outcomes)

    @property
    def read(self) -> int:
        """Rows seen; always the sum of what became of them."""
        return sum(self.counts[name] for name in OUTCOMES)

    def figures(self) -> dict[str, int]:
        return {"read": self.read} | {name: self.counts[name] for name in OUTCOMES}

    def __iter__(self) -> Iterator[ReportRow]:
        self.file.seek(0)
        for text in self.file:
            yield ReportRow(**orjson.loads(text))
        self.file.seek(0, 2)

    def store(self, job: ImportJob) -> None:
        """Store the rows with the job, in one COPY."""
        if not self.entries:
            return
        columns = "job_id, kind, row, line, object_id, cells, errors"
        statement = f"COPY core_importissue ({columns}) FROM STDIN"
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for e in self:
                cells = [cell.replace("\x00", "\ufffd") for cell in e.cells]
                errors = Jsonb(_without_nul(e.errors), dumps=orjson.dumps)
                copy.write_row((job.pk, e.kind, e.row, e.line, e.object_id, cells, errors))


def _without_nul(value: Any) -> Any:
    """PostgreSQL stores no NUL: what was refused for one is stored with U+FFFD in its place."""
    return orjson.loads(orjson.dumps(value).replace(b"\\u0000", "\ufffd".encode()))


def messages_of(errors: Iterable[dict[str, Any]]) -> list[str]:
    """The messages of faults, each with its column or field."""
    found = []
    for error in errors:
        name = error.get("column") or error.get("field")
        found.append(f"{name}: {error['message']}" if name else error["message"])
    return found
