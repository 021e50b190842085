"""A file opened as a table: its shape, and its rows in chunks."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from core.errors import InvalidError
from core.transfer.reading import delimited, layout, sheets
from core.transfer.reading.recognising import kind_of_file
from core.transfer.reading.shape import UNKNOWN, Asked, Shape

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

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, position: int) -> list[str]:
        return [row[position] for row in self.rows]


class Table:
    """`file` read with `shape`; may be read any number of times."""

    def __init__(self, file: BinaryIO, shape: Shape) -> None:
        self.file, self.shape = file, shape
        self.width = len(shape.headers)

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
        chunk.numbers.append(number)
        chunk.lines.append(line)
        chunk.rows.append(cells)

    def records(self) -> Iterator[delimited.Numbered]:
        """Records below the header. A lone cell is held back until it is known whether a row follows it."""
        held: list[delimited.Numbered] = []
        above, wide = self.shape.first_row, self.width > 1
        for record in self._source():
            if record[0] <= above:
                continue
            cells = record[2]
            if not cells or not any(cells) or not any(map(str.strip, cells)):
                continue
            if wide and layout.is_footer(cells):
                held.append(record)
                continue
            if held:
                yield from held
                held = []
            yield record

    def _source(self) -> Iterator[delimited.Numbered]:
        if self.shape.format == "xlsx":
            return sheets.records(self.file, self.shape.sheet)
        return delimited.records(self.file, self.shape.encoding, self.shape.delimiter)


def open_table(file: BinaryIO, asked: Asked | None = None) -> Table:
    """The table in a file. Raises InvalidError that says what the file is if it is none."""
    asked = asked or Asked()
    settle = sheets.settle if kind_of_file(file) == "xlsx" else delimited.settle
    table = Table(file, settle(file, asked))
    if not len(table.head(1)):
        raise InvalidError.of("file", "There are column headers but no rows below them.", "header_only")
    if table.shape.rows == UNKNOWN:
        table.shape = replace(table.shape, rows=sum(1 for _ in table.records()))
    return table
