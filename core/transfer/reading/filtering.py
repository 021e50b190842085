"""Rows of a file that are none of its table: blank ones, the headers again, remarks, sums, further tables."""

from collections.abc import Iterator
from itertools import dropwhile
from typing import Any

from django.utils.translation import gettext as _

from core.transfer.reading import layout
from core.transfer.reading.layout import Numbered
from core.transfer.reading.shape import Shape, left_out


class RecordFilter:
    """One reading of a table. What is left out, and where, is known once all of it has been read."""

    def __init__(self, shape: Shape) -> None:
        self.shape, self.width = shape, len(shape.headers)
        self.headers = list(shape.header_cells)
        self.first_header = self.headers[0] if self.headers else ""
        self.left_out: dict[str, list[int]] = {}
        # What is doubtful about the row of a line.
        self.doubts: dict[int, str] = {}
        self.last_line = 0  # of a record
        self.last_cells: list[str] = []
        self.kept = self.blanks = 0

    def records(self, source: Iterator[Numbered]) -> Iterator[Numbered]:
        """The records below the headers. What may be a remark is held back until it is known whether a row
        follows it, and what may begin another table until the next row."""
        held: list[Numbered] = []
        maybe: Numbered | None = None
        follows_blank = is_below_blank = False
        for record in dropwhile(lambda record: record[0] <= self.shape.first_row, source):
            if not (held or follows_blank or maybe) and layout.is_ordinary(record[2], self.first_header):
                self.last_line, self.last_cells = record[1], record[2]
                self.kept += 1
                yield record
                continue
            if self._is_blank(record[2]):
                follows_blank = True
                self.blanks += 1
                continue
            if maybe is not None and layout.begins_table(maybe[2], record[2], self.last_cells, self.width):
                self._leave_out(_("another table begins there"), maybe[1])
                maybe = None
                break
            if maybe is not None:
                yield from self._rows_after_all(held)
                yield self._doubtful_headers(maybe)
                held, maybe = [], None
            is_below_blank = follows_blank or (is_below_blank and bool(held))
            if self._is_remark(record[2]) or (is_below_blank and self._stands_alone(record[2])):
                held.append(record)
            elif self._is_header_again(record):
                pass
            elif follows_blank and layout.may_be_headers(record[2], self.width):
                maybe = record
            else:
                yield from self._rows_after_all(held)
                held = []
                self.last_cells = record[2]
                self.kept += 1
                yield record
            follows_blank = False
        if maybe is not None:
            yield from (*self._rows_after_all(held), maybe)
            held = []
        yield from self._end(held)

    def _is_blank(self, cells: list[str]) -> bool:
        if not cells or not any(cells) or not any(map(str.strip, cells)):
            return True
        return cells[0] == layout.END_OF_FILE and layout.is_end_of_file(cells)

    def _is_remark(self, cells: list[str]) -> bool:
        return self.width > 1 and layout.is_footer(cells)

    def _stands_alone(self, cells: list[str]) -> bool:
        return self.width > 2 and layout.stands_alone(cells)

    def _rows_after_all(self, held: list[Numbered]) -> Iterator[Numbered]:
        """What was held back and is followed by rows of the table: rows too, but for subtotals."""
        for record in held:
            if layout.is_subtotal(record[2]):
                self._leave_out(_("a row of sums"), record[1])
                continue
            if self._is_remark(record[2]):
                self.doubts[record[1]] = f"Line {record[1]} looks like a row of sums or a remark."
            yield record

    def _end(self, held: list[Numbered]) -> Iterator[Numbered]:
        """What nothing follows: lines of their own below a blank one are a remark where one of them is."""
        if any(self._is_remark(record[2]) for record in held):
            for record in held:
                self._leave_out(_("a remark below the table"), record[1])
            return
        for record in held:
            self.doubts[record[1]] = f"Line {record[1]} stands alone below a blank line: is it a remark?"
            yield record

    def _doubtful_headers(self, record: Numbered) -> Numbered:
        """A row of words below a blank line; where blank lines are common it is one like the others."""
        if self.kept >= self.blanks * 2 and len(layout.trimmed(record[2])) == self.width:
            self.doubts[record[1]] = f"Line {record[1]} may be the headers of another table."
        return record

    def _is_header_again(self, record: Numbered) -> bool:
        cells, known = record[2], self.headers
        if self.width > 1 and known and cells[0] == known[0] and layout.trimmed(cells) == known:
            self._leave_out(_("the headers again"), record[1])
            return True
        self.last_line = record[1]
        return False

    def _leave_out(self, reason: str, line: int) -> None:
        self.left_out.setdefault(reason, []).append(line)

    def notes(self) -> list[dict[str, Any]]:
        """Warnings that name the lines."""
        found = [left_out(reason, lines) for reason, lines in self.left_out.items()]
        if self.shape.unbalanced_quotes:
            where = f"the cell that begins on line {self.last_line}"
            message = _("A quote is left open in %(where)s: it may have swallowed the rows after it.") % {
                "where": where
            }
            found.append({"code": "unbalanced_quotes", "message": message, "lines": [self.last_line]})
        return found
