"""Which delimiter a text table uses: the one under which its lines agree on a number of cells.

`csv.Sniffer` answers a letter or a carriage return for ordinary files, so it is not asked.
"""

import csv
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext as _

from core.errors import InvalidError

DELIMITERS = (",", ";", "\t", "|")
# "\t" is how a form sends a tab.
SPACE = " "
_NAMES = {"space": SPACE, "tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
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
    if len(delimiter) != 1 or delimiter in "\r\n\"'" or delimiter.isalnum():
        raise InvalidError.of(
            "delimiter", _("Expected one character, or tab, comma, semicolon, pipe, space.")
        )
    return delimiter


@dataclass(frozen=True)
class Dialect:
    """How cells are kept apart and quoted; the arguments of `csv.reader`."""

    delimiter: str = ","
    quotechar: str = '"'
    escapechar: str = ""
    skip_blanks: bool = False

    @property
    def options(self) -> dict[str, Any]:
        return {
            "delimiter": self.delimiter,
            "quotechar": self.quotechar,
            "escapechar": self.escapechar or None,
            "skipinitialspace": self.skip_blanks,
        }

    @property
    def is_plain(self) -> bool:
        """Whether nothing but the delimiter differs from what everybody writes."""
        return self == Dialect(self.delimiter)


def detect(sample: str, delimiter: str | None = None) -> Dialect:
    """The dialect of the text, its `delimiter` where that is known; a comma where there is but one column."""
    plain = [Dialect(one) for one in ([delimiter] if delimiter else DELIMITERS)]
    scores = {one: _score(_rows(sample, one)) for one in plain}
    best = max(plain, key=lambda one: scores[one])
    if scores[best] <= (0.0, 0):
        best = plain[0] if delimiter or not _is_spaced(sample) else Dialect(SPACE, skip_blanks=True)
    return _quoted(sample, best)


def _quoted(sample: str, found: Dialect) -> Dialect:
    """The dialect with whatever of quotes and escapes makes more lines agree with the others."""
    if "'" in sample and _is_in_apostrophes(sample, found.delimiter):
        found = replace(found, quotechar="'")
    if _has_blanks_before_quotes(sample, found):
        found = replace(found, skip_blanks=True)
    if "\\" in sample:
        escaped = replace(found, escapechar="\\")
        with_escapes, without = _agreement(sample, escaped), _agreement(sample, found)
        # A cell may end in a backslash; before a quote, or where lines agree by it, it is an escape.
        is_before_quote = f"\\{found.quotechar}" in sample
        if with_escapes > without and (with_escapes[0] > without[0] or is_before_quote):
            return escaped
    return found


def _has_blanks_before_quotes(sample: str, dialect: Dialect) -> bool:
    """Whether a quoted cell stands behind blanks; what quoted cells hold (JSON, say) is no sign of it."""
    mark, quote = re.escape(dialect.delimiter), re.escape(dialect.quotechar)
    quoted = rf"(?:\A|(?<=[{mark}\r\n])){quote}(?:[^{quote}]|{quote}{quote})*{quote}"
    return re.search(rf"{mark} +{quote}", re.sub(quoted, "", sample)) is not None


def _is_in_apostrophes(sample: str, delimiter: str) -> bool:
    """Whether the first lines below the headers hold nothing but cells between apostrophes, and numbers."""
    mark, cell = re.escape(delimiter), r"(?:'(?:[^'\\]|\\.|'')*'|[\d.]*|\\N)"
    line = re.compile(rf"{cell}(?:{mark} *{cell})*\r?\n?\Z")
    lines = [text for text in _lines(sample)[:20] if text.strip()]
    if lines[1:] and "'" not in lines[0]:
        del lines[0]
    quoted = [text for text in lines if line.match(text) and f"'{delimiter}" in text.replace(" ", "")]
    return len(quoted) == len(lines) > 0


def _is_spaced(sample: str) -> bool:
    """Whether blanks keep cells apart: at least three in every line, and not all lines of mere words."""
    lines = [text for text in _lines(sample) if text.strip()][:SAMPLE_ROWS]
    rows = list(csv.reader(lines, delimiter=SPACE, skipinitialspace=True))
    widths = {len([cell for cell in row if cell]) for row in rows}
    holds_values = any(re.search(r"[@\d\"]", text) for text in lines[1:])
    return len(lines) > 2 and len(widths) == 1 and min(widths) >= 3 and holds_values


def _agreement(sample: str, dialect: Dialect) -> tuple[int, int]:
    """How many lines have as many cells as most have, and how few cells end in a mere backslash or quote, or
    in the end of a line, as those do whose quote is never closed."""
    rows = _rows(sample, dialect)
    counts = Counter(len(row) for row in rows)
    odd = sum(cell.endswith(("\\", dialect.quotechar, "\n", "\r")) for row in rows for cell in row)
    return (max(counts.values(), default=0), -odd)


def _rows(sample: str, dialect: Dialect) -> list[list[str]]:
    found = []
    try:
        for row in csv.reader(_lines(sample), **dialect.options):
            if any(cell.strip() for cell in row):
                found.append(row)
            if len(found) >= SAMPLE_ROWS:
                break
    except csv.Error:
        return []
    return found


def _lines(text: str) -> list[str]:
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
