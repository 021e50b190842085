"""Rows of a file that are none of its table: blank ones, the headers again, remarks, sums, further tables."""

from collections.abc import Iterator
from itertools import dropwhile
from typing import Any

from core.transfer.reading import layout
from core.transfer.reading.shape import Shape

Numbered = tuple[int, int, list[str]]  # spreadsheet row, physical line, cells
# Lines named in a warning.
NAMED = 10


class RecordFilter:
    """One reading of a table. What is left out, and where, is known once all of it has been read."""

    def __init__(self, shape: Shape) -> None:
        self.shape, self.width = shape, len(shape.headers)
        self.headers = list(shape.header_cells)
        self.first_header = self.headers[0] if self.headers else ""
        self.left_out: dict[str, list[int]] = {}
        self.last_line = 0  # of a record

    def records(self, source: Iterator[Numbered]) -> Iterator[Numbered]:
        """The records below the headers. What may be a remark is held back until it is known whether a row
        follows it, and what may begin another table until the next row."""
        held: list[Numbered] = []
        maybe: Numbered | None = None
        follows_blank = False
        for record in dropwhile(lambda record: record[0] <= self.shape.first_row, source):
            if not (held or follows_blank or maybe) and layout.is_ordinary(record[2], self.first_header):
                self.last_line = record[1]
                yield record
                continue
            if self._is_blank(record[2]):
                follows_blank = True
                continue
            if maybe is not None and self._begins_table(maybe, record):
                maybe = None
                break
            if maybe is not None:
                yield from (*held, maybe)
                held, maybe = [], None
            if self._is_remark(record[2]):
                held.append(record)
            elif follows_blank and self._may_begin_table(record[2]):
                maybe = record
            elif not self._is_header_again(record):
                yield from held
                held = []
                yield record
            follows_blank = False
        if maybe is not None:
            yield from (*held, maybe)
            held = []
        self._leave_out_remarks(held)

    def _is_blank(self, cells: list[str]) -> bool:
        if not cells or not any(cells) or not any(map(str.strip, cells)):
            return True
        return cells[0] == layout.END_OF_FILE and layout.is_end_of_file(cells)

    def _is_remark(self, cells: list[str]) -> bool:
        return self.width > 1 and layout.is_footer(cells)

    def _may_begin_table(self, cells: list[str]) -> bool:
        return self.width > 1 and len(layout.trimmed(cells)) != self.width

    def _begins_table(self, headers: Numbered, record: Numbered) -> bool:
        if not layout.begins_table(headers[2], record[2], self.width):
            return False
        self._leave_out("another table begins there", headers[1])
        return True

    def _is_header_again(self, record: Numbered) -> bool:
        cells, known = record[2], self.headers
        if self.width > 1 and known and cells[0] == known[0] and layout.trimmed(cells) == known:
            self._leave_out("the headers again", record[1])
            return True
        self.last_line = record[1]
        return False

    def _leave_out_remarks(self, held: list[Numbered]) -> None:
        for record in held:
            self._leave_out("a remark below the table", record[1])

    def _leave_out(self, reason: str, line: int) -> None:
        self.left_out.setdefault(reason, []).append(line)

    def notes(self) -> list[dict[str, Any]]:
        """Warnings that name the lines."""
        found = [self._note(reason, lines) for reason, lines in self.left_out.items()]
        if self.shape.unbalanced_quotes:
            where = f"the cell that begins on line {self.last_line}"
            message = f"A quote is left open in {where}: it may have swallowed the rows after it."
            found.append({"code": "unbalanced_quotes", "message": message, "lines": [self.last_line]})
        return found

    @staticmethod
    def _note(reason: str, lines: list[int]) -> dict[str, Any]:
        named = ", ".join(map(str, lines[:NAMED])) + (" …" if len(lines) > NAMED else "")
        message = f"Left out: {reason} (line {named})."
        return {"code": "left_out", "message": message, "lines": lines[:NAMED], "rows": len(lines)}
