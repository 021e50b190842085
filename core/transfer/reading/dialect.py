"""Which delimiter a text table uses: the one under which its lines agree on a number of cells.

`csv.Sniffer` answers a letter or a carriage return for ordinary files, so it is not asked.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable

from core.errors import InvalidError

DELIMITERS = (",", ";", "\t", "|")
# "\t" is how a form sends a tab.
_NAMES = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
_SEP = re.compile(r"^\ufeff?\"?sep=(.)\"?\s*$", re.IGNORECASE)
# No field takes more; a quote that never closes must not swallow the machine.
FIELD_LIMIT = 1 << 20
SAMPLE_ROWS = 200


def declared(first_line: str) -> str | None:
    """The delimiter in Excel's `sep=;` line, if the line is one."""
    found = _SEP.match(first_line.rstrip("\r\n"))
    return found.group(1) if found else None


def check(text: str) -> str:
    """The delimiter a user named. Raises InvalidError."""
    delimiter = _NAMES.get(text.lower(), text)
    if len(delimiter) != 1 or delimiter in "\r\n\" '" or delimiter.isalnum():
        raise InvalidError.of("delimiter", "Expected one character, or tab, comma, semicolon, pipe.")
    return delimiter


def detect(sample: str) -> str:
    """The delimiter of the text; a comma where there is but one column."""
    scores = {delimiter: _score(_rows(sample, delimiter)) for delimiter in DELIMITERS}
    best = max(DELIMITERS, key=lambda d: scores[d])
    return best if scores[best] > (0.0, 0) else ","


def _rows(sample: str, delimiter: str) -> list[list[str]]:
    found = []
    try:
        for row in csv.reader(_lines(sample), delimiter=delimiter):
            if any(cell.strip() for cell in row):
                found.append(row)
            if len(found) >= SAMPLE_ROWS:
                break
    except csv.Error:
        return []
    return found


def _lines(text: str) -> Iterable[str]:
    """Lines with their ends; only CR and LF end one (str.splitlines also cuts at U+2028, VT and FF)."""
    return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z", text)


def _score(rows: list[list[str]]) -> tuple[float, int]:
    """How far the lines agree on more than one cell, then how many cells that is."""
    if not rows:
        return (0.0, 0)
    counts = Counter(len(row) for row in rows)
    width = max(counts, key=lambda n: (counts[n] * (n > 1), n))
    if width < 2:
        return (0.0, 0)
    agreeing = counts[width] / len(rows)
    widest = max(rows, key=lambda row: len(row) == width)
    # Headers are words: a delimiter that leaves the headers in one cell is another table's.
    unquoted = sum(1 for cell in widest if cell.strip()) / width
    return (round(agreeing * (0.5 + unquoted / 2), 3), width)
