"""How a file is read: what the user asked for, and what was settled on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.utils.translation import gettext as _

UNKNOWN = -1
# Lines and sheets named in a warning.
NAMED = 10


@dataclass(frozen=True)
class ReadingOptions:
    """Settings a user gave; None is "find out". `header_row` counts lines of the table from 1, 0 is none."""

    encoding: str | None = None
    delimiter: str | None = None
    header_row: int | None = None
    skip_rows: int = 0
    sheet: str | None = None


@dataclass(frozen=True)
class Shape:
    """The settings a table is read with: the preview's and the import's are the same object."""

    format: str
    headers: list[str]
    encoding: str = ""
    delimiter: str = ""
    quotechar: str = '"'
    # What takes away the meaning of the next character ("" for nothing): \\" inside a quoted cell.
    escapechar: str = ""
    # Blanks behind a delimiter are none of the cell, so that a quote may follow them.
    skip_blanks: bool = False
    # What is done about bytes that are none of the encoding (reading.encoding).
    decoding: str = "strict"
    # Rows above the first record, the header among them; the spreadsheet row of the first record is one more.
    first_row: int = 1
    header_row: int = 0
    sheet: str = ""
    # Further sheets of the workbook that hold something, where nobody said which one is meant.
    other_sheets: tuple[str, ...] = ()
    # Rows of the table, without headers, blank rows and remarks below it; UNKNOWN until it was read.
    rows: int = UNKNOWN
    size: int = 0
    unbalanced_quotes: bool = False
    # The headers as they stand in the file, by which a repetition is known.
    header_cells: tuple[str, ...] = ()
    # Lines above the headers that are not blank, where nobody said that the table begins below them.
    lines_above: tuple[int, ...] = ()
    # Zone of the times in it, where the file says so itself.
    timezone: str = ""

    def notes(self) -> list[dict[str, Any]]:
        """Warnings about what is no part of the table as it was found."""
        found = []
        if self.lines_above:
            found.append(left_out("what stands above the headers", self.lines_above))
        if self.other_sheets:
            others = ", ".join(map(repr, self.other_sheets[:NAMED]))
            message = _("Read is the sheet %(sheet)s; not read: %(others)s. Send sheet for another one.") % {
                "sheet": repr(self.sheet),
                "others": others,
            }
            found.append({"code": "other_sheets", "message": message})
        return found

    def shown(self) -> dict[str, Any]:
        """The form in which the API shows it and jobs store it."""
        return asdict(self)


def left_out(reason: str, lines: Sequence[int]) -> dict[str, Any]:
    """A warning about lines that are none of the table."""
    named = ", ".join(map(str, lines[:NAMED])) + (" …" if len(lines) > NAMED else "")
    message = _("Left out: %(reason)s (line %(named)s).") % {"reason": reason, "named": named}
    return {"code": "left_out", "message": message, "lines": list(lines[:NAMED]), "rows": len(lines)}
