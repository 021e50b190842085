"""A file opened as a table: its shape, and its rows in chunks."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

from django.utils.translation import gettext

from core.errors import InvalidError
from core.transfer.reading import delimited, layout, sheets
from core.transfer.reading.encoding import STRAYS, without_strays
from core.transfer.reading.filtering import RecordFilter
from core.transfer.reading.layout import Numbered
from core.transfer.reading.recognising import kind_of_file
from core.transfer.reading.shape import UNKNOWN, ReadingOptions, Shape

CHUNK = 5_000
TOO_MANY = "too_many_cells"


@dataclass
class Chunk:
    """Some rows in the order of the file. `rows[i]` has exactly one cell per header; what was cut off a row
    that is too long stands in `ragged[i]`."""

    numbers: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    ragged: dict[int, list[str]] = field(default_factory=dict)
    # What is doubtful about the text of a row as it was read.
    doubts: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, position: int) -> list[str]:
        return [row[position] for row in self.rows]


class Table:
    """`file` read with `shape`; may be read any number of times."""

    def __init__(self, file: BinaryIO, shape: Shape) -> None:
        self.file, self.shape = file, shape
        self.width = len(shape.headers)
        # Warnings about what was left out or is in doubt, by the rows that were read last.
        self.notes: list[dict[str, Any]] = []
        # Doubts about whether a line is a row, by line.
        self.doubts: dict[int, str] = {}
        self.is_doubtful = shape.decoding != "strict"
        self.delimiter = shape.delimiter if self.width > 1 else ""

    def _has_swallowed(self, cells: list[str]) -> bool:
        """Whether a cell holds lines that have as many delimiters as rows of this table."""
        for cell in cells:
            lines = cell.split("\n")[1:-1] or cell.split("\n")[1:]
            if len(cell.split("\n")) > 1 and lines:
                marks = [line.count(self.delimiter) for line in lines]
                if all(count == self.width - 1 for count in marks) and (self.width > 2 or len(lines) > 1):
                    return True
        return False

    def chunks(self, size: int = CHUNK) -> Iterator[Chunk]:
        """All records, blank rows and remarks under the table left out."""
        chunk = Chunk()
        for number, line, cells in self.records():
            self._add(chunk, number, line, cells)
            if len(chunk) >= size:
                yield chunk
                chunk = Chunk()
        if len(chunk):
            yield chunk

    def head(self, count: int) -> Chunk:
        """The first records, at most `count`."""
        return next(self.chunks(count), Chunk())

    def _add(self, chunk: Chunk, number: int, line: int, cells: list[str]) -> None:
        spare = self.width - len(cells)
        if spare > 0:
            cells = cells + [""] * spare
        elif spare < 0:
            extra = layout.trimmed(cells[self.width :])
            if extra:
                chunk.ragged[len(chunk)] = extra
            cells = cells[: self.width]
        if self.is_doubtful and any(map(STRAYS.search, cells)):
            cells = [without_strays(cell) for cell in cells]
            message = gettext("Line %(line)s holds bytes that are no %(encoding)s; read as Windows-1252.") % {
                "line": line,
                "encoding": self.shape.encoding,
            }
            chunk.doubts[len(chunk)] = message
        if self.delimiter and "\n" in "".join(cells) and self._has_swallowed(cells):
            chunk.doubts[len(chunk)] = (
                f"A cell of line {line} holds what looks like further rows: was a quote left open there?"
            )
        if self.doubts and line in self.doubts:
            chunk.doubts[len(chunk)] = self.doubts[line]
        chunk.numbers.append(number)
        chunk.lines.append(line)
        chunk.rows.append(cells)

    def records(self) -> Iterator[Numbered]:
        """Records of the table; what stands between and below them and is none is listed in `notes`."""
        found = RecordFilter(self.shape)
        self.doubts = found.doubts
        yield from found.records(self._source())
        self.notes = found.notes()

    def _source(self) -> Iterator[Numbered]:
        if self.shape.format == "xlsx":
            return sheets.records(self.file, self.shape.sheet)
        return delimited.records_of(self.file, self.shape)


def open_table(file: BinaryIO, asked: ReadingOptions | None = None) -> Table:
    """The table in a file. Raises InvalidError that says what the file is if it is none."""
    asked = asked or ReadingOptions()
    settle = sheets.settle if kind_of_file(file) == "xlsx" else delimited.settle
    table = Table(file, settle(file, asked))
    if not len(table.head(1)):
        raise InvalidError.of(
            "file", gettext("There are column headers but no rows below them."), "header_only"
        )
    if table.shape.rows == UNKNOWN:
        table.shape = replace(table.shape, rows=sum(1 for _ in table.records()))
    return table
