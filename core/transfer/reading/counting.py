"""How many rows a text table has, exactly, without reading it as one: a hundred times faster.

Ends of lines outside quotes are counted with numpy. Where quotes stand so that `csv` would not see a quoted
cell in them (5" pipes), the file is read instead.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import BinaryIO

import numpy as np

from core.transfer.reading import layout
from core.transfer.reading.dialect import FIELD_LIMIT

BLOCK = 1 << 18  # of the size of a processor's own cache
LF, CR, QUOTE = 10, 13, 34
# Bytes of which blanks consist: what str.strip takes away, in UTF-8, and quotes.
_BLANKS = b'\t\n\v\f\r\x1c\x1d\x1e\x1f "\x85\xa0\xc2\xe1\x9a\x80\xe2\xe3\xa8\xa9\xaf\x9f' + bytes(
    range(0x81, 0x8B)
)
# Characters looked at from the front of all rows at once; what is blank so far is then read by itself.
LOOKED_AT = 64
# What rows of sums between others begin with; the letters by which rows are chosen to be looked at.
_SUBTOTAL = re.compile(
    rb"[\s\",;|]*(grand|sub|running|zwischen|sous|tussen)[ -]?(total|sum|tota|totaa)", re.IGNORECASE
)
_FIRST = b' "sSgGrRzZtT'
# Remarks under the table are among so many rows.
LAST = 50


class OddQuotesError(Exception):
    """A quote stands where it may or may not begin a cell."""


class RowCounter:
    """Counts the records of a table in UTF-8 that `csv` would find, fed block by block."""

    def __init__(self, delimiter: str, above: int, header: bytes = b"") -> None:
        """`above`: so many records at the beginning are none of the table. `header`: how a line of headers
        begins."""
        self.delimiter, self.above = delimiter, above
        self.rows = 0
        # Blank records, and lines that are just like the line of headers.
        self.blanks = 0
        self.header = header
        self.again = 0
        # Whether rows of sums may stand between the others.
        self.has_sums = False
        self.rest = b""
        # Whether the last cell was left open.
        self.open = False
        self.last: list[bytes] = []
        self.first = np.zeros(256, dtype=bool)
        self.first[list(_FIRST + delimiter.encode())] = True
        self.second = np.zeros(256, dtype=bool)
        self.second[list(b'uUoOrRwW "' + _FIRST + delimiter.encode())] = True
        self.blank = np.zeros(256, dtype=bool)
        self.blank[list(_BLANKS + delimiter.encode())] = True
        # What stands before a quote that opens a cell, or that is the second of two inside one.
        self.opening = np.zeros(256, dtype=bool)
        self.opening[[LF, CR, QUOTE, delimiter.encode()[-1]]] = True

    def feed(self, block: bytes, *, last: bool = False) -> None:
        """Count the records that end in the block. Raises OddQuotesError."""
        data = self.rest + block if self.rest else block
        if len(data) > FIELD_LIMIT + BLOCK:
            raise OddQuotesError
        found = np.frombuffer(data, dtype=np.uint8)
        ends = self._ends(data, found, last=last)
        if last and len(data) and (not len(ends) or ends[-1] != len(data) - 1):
            self.open = data.count(b'"', ends[-1] + 1 if len(ends) else 0) % 2 == 1
            ends = np.append(ends, len(data) - 1)
        if not len(ends):
            self.rest = data
            return
        self.rest = data[ends[-1] + 1 :]
        starts = np.concatenate(([0], ends[:-1] + 1))
        skipped = min(self.above, len(starts))
        self.above -= skipped
        self._count(data, found, starts[skipped:], ends[skipped:] + 1)

    def _ends(self, data: bytes, found: np.ndarray, *, last: bool) -> np.ndarray:
        """Where the last byte of each record is."""
        ends = np.flatnonzero(found == LF)
        if b"\r" in data:
            returns = np.flatnonzero(found == CR)
            if returns[-1] == len(found) - 1 and not last:
                returns = returns[:-1]  # a line feed may follow
            alone = returns[found[np.minimum(returns + 1, len(found) - 1)] != LF]
            if len(alone):
                ends = np.sort(np.concatenate((ends, alone)))
        if b'"' not in data:
            return ends
        quotes = np.flatnonzero(found == QUOTE)
        openers = quotes[0::2]
        if not self.opening[found[openers[openers > 0] - 1]].all():
            raise OddQuotesError
        return ends[np.searchsorted(quotes, ends) % 2 == 0]

    def _count(self, data: bytes, found: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> None:
        blanks = self._blanks(data, found, starts, stops)
        self.rows += len(starts) - blanks
        self.blanks += blanks
        if self.header and len(starts) and self.header in data:
            self.again += data.count(b"\n" + self.header, max(int(starts[0]) - 1, 0))
        self.has_sums = self.has_sums or self._have_sums(data, found, starts)
        kept = zip(starts[-LAST:].tolist(), stops[-LAST:].tolist(), strict=True)
        self.last = [*self.last, *(data[start:stop] for start, stop in kept)][-LAST:]

    def _have_sums(self, data: bytes, found: np.ndarray, starts: np.ndarray) -> bool:
        """Whether one of the records begins like a row of sums."""
        starts = starts[self.first[found[starts]]]
        starts = starts[self.second[found[np.minimum(starts + 1, len(found) - 1)]]]
        return any(_SUBTOTAL.match(data, start, start + LOOKED_AT) for start in starts.tolist())

    def _blanks(self, data: bytes, found: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> int:
        """How many records are blank, or remarks."""
        at, left = starts, np.arange(len(starts))
        over = []
        for _ in range(LOOKED_AT):
            here = self.blank[found[at]]
            at, left = at[here] + 1, left[here]
            ended = at >= stops[left]
            over.append(left[ended])
            at, left = at[~ended], left[~ended]
            if not len(left):
                break
        maybe = np.concatenate([*over, left])
        return sum(self._is_blank(data[starts[i] : stops[i]]) for i in maybe.tolist())

    def _is_blank(self, record: bytes) -> bool:
        return not any(cell.strip() for cell in self._cells(record))

    def _cells(self, record: bytes) -> list[str]:
        text = io.StringIO(record.decode("utf-8", "replace"), newline="")
        return next(csv.reader(text, delimiter=self.delimiter), [])

    def blanks_at_end(self) -> int:
        """How many of the last rows are blank."""
        kept = takewhile(lambda record: self._is_blank(record), reversed(self.last))
        return sum(1 for _ in kept)

    def remarks(self, *, wide: bool) -> int:
        """How many of the last rows are remarks under the table; in one column nothing but the end of a file
        can be told from a row."""
        count = 0
        for record in reversed(self.last):
            cells = self._cells(record)
            if not any(cell.strip() for cell in cells):
                continue
            if not (layout.is_end_of_file(cells) or (wide and layout.is_footer(cells))):
                break
            count += 1
        return count


@dataclass(frozen=True)
class Counted:
    """`rows` of the table below its headers; `open`: the last cell was never closed."""

    rows: int
    open: bool


def count_rows(
    file: BinaryIO, codec: str, delimiter: str, above: int, *, wide: bool, header: Sequence[str] = ()
) -> Counted | None:
    """The rows of the table below its first `above` records; blank ones and remarks at the end do not count.
    `wide`: it has more than one column. None where it must be read to know: where its `header` comes again,
    where there are rows of sums, or rows follow a blank one, which may be another table."""
    begins = delimiter.join(header).encode("utf-8", "replace") if wide else b""
    counter = RowCounter(delimiter, above, begins)
    try:
        for block in _blocks(file, codec):
            counter.feed(block)
        counter.feed(b"", last=True)
    except OddQuotesError:
        return None
    finally:
        file.seek(0)
    if counter.again or counter.has_sums or (wide and counter.blanks > counter.blanks_at_end()):
        return None
    return Counted(counter.rows - counter.remarks(wide=wide), counter.open)


def _blocks(file: BinaryIO, codec: str) -> Iterator[bytes]:
    """The file in UTF-8."""
    file.seek(0)
    if codec == "utf-8-sig":
        file.seek(len(codecs.BOM_UTF8) if file.read(3) == codecs.BOM_UTF8 else 0)
    plain = codec in ("utf-8", "utf-8-sig", "ascii")
    decoder = codecs.getincrementaldecoder(codec)("replace")
    while block := file.read(BLOCK):
        yield block if plain else decoder.decode(block).encode("utf-8", "surrogatepass")
