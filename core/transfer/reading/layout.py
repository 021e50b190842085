"""Where the table begins inside the file: lines above the headers, the headers, lines below the last row."""

import re
from collections import Counter
from collections.abc import Sequence

from django.utils.translation import gettext

from core.errors import InvalidError
from core.transfer.reading.shape import ReadingOptions

Row = Sequence[str]
Numbered = tuple[int, int, list[str]]  # spreadsheet row, physical line, cells

_VALUE = re.compile(r"^[\s$€£¥+-]*[\d.,:/\sTZ%-]*\d[\d.,:/\sTZ%-]*$|@[^\s@]+\.\w+|^https?://")
# What begins a row of sums or of remarks, however many cells it fills.
_SUM = re.compile(
    r"\s*((grand|sub|running|sous|zwischen|tussen)[ -]?)?"
    r"(total|sum|summe|gesamt(summe)?|somme|totale|totaal|totaux|suma|total général|итого)s?\b[\s:.]*$",
    re.IGNORECASE,
)
_REMARK = re.compile(
    r"\s*(copyright\s*(\(c\)|©|\d{4})|\(c\)\s*\d{4}|©|generated (by|on|at)|"
    r"exported (by|on|from|at)|created (by|on) |end of (file|report|list)|"
    r"page \d+ (of|/) \d+|report (generated|run|created)|total records?\b|as of \d|"
    r"source:|disclaimer|all rights reserved|\d+ (rows?|records?) (selected|returned|exported|total))",
    re.IGNORECASE,
)
# One that no record is called by: it stands between the rows of a table as well as below them.
_SUBTOTAL = re.compile(
    r"\s*((grand|sub|running)[ -]?totals?|sub[ -]?sums?|zwischensummen?|sous[ -]?tota(l|ux)|"
    r"subtotaa?le?s?|tussentotaal)\b[\s:.]*$",
    re.IGNORECASE,
)
_RULER = re.compile(r"[\s+|=_:-]*[=_-]{2}[\s+|=_:-]*$")
_NUMBER = re.compile(r"^[\s$€£¥()+-]*[\d.,\s]*\d[\d.,\s]*[%)]?\s*[$€£¥A-Z]{0,3}$")
END_OF_FILE = "\x1a"
# Either of both, or what may be one with a blank before it.
_UNUSUAL = re.compile(f"{_SUM.pattern}|{_REMARK.pattern}", re.IGNORECASE)
_FOOTER = re.compile(
    r"\b(grand )?(sub)?totals?\b|\brecords?\b|\brows?\b|confidential|copyright|\(c\)|©|generated|exported|"
    r"^-+$|end of (file|report|list)|summe|gesamt|total général",
    re.IGNORECASE,
)
MAX_COLUMNS = 1_000
LOOKED_AT = 50
# Of a cell; an honest header or value tells by then what it is.
LOOKED_AT_CHARS = 200


def width_of(rows: Sequence[Row]) -> int:
    """The commonest number of cells, trailing blank ones left out, among rows with more than one."""
    counts = Counter(len(trimmed(row)) for row in rows)
    wide = {n: c for n, c in counts.items() if n > 1}
    return max(wide, key=lambda n: (wide[n], n)) if wide else max(counts, default=0)


def trimmed(row: Row) -> list[str]:
    """The row without blank cells at its end."""
    cells = list(row)
    while cells and not cells[-1].strip():
        cells.pop()
    return cells


def header_index(rows: Sequence[Row]) -> int | None:
    """Index of the header line among the first rows; None where the table seems to have none.

    It is the first row about as wide as the rest, of words that do not repeat values below it.
    """
    rows = rows[:LOOKED_AT]
    width = width_of(rows)
    for index, row in enumerate(rows):
        cells = [cell.strip() for cell in trimmed(row)]
        filled = [cell for cell in cells if cell]
        if not filled or (width > 1 and len(filled) < max(2, width * 0.5)):
            continue
        if width > 2 and len(filled) == 2 and (cells[0].endswith(":") or looks_like_values(filled[1:])):
            continue  # "Date range:", "2024"
        return index if not looks_like_values(filled) else None
    return None


def lines_above(
    rows: Sequence[Numbered], index: int | None, asked: ReadingOptions, skipped: int = 0
) -> tuple[int, ...]:
    """Lines of a file's first rows that stand above its headers, without those that the user said are none
    of the table, and without the first `skipped`."""
    if index is None or asked.header_row is not None:
        return ()
    return tuple(line for _, line, _ in rows[skipped:index])


def looks_like_values(cells: Row) -> bool:
    """Whether the cells are data: an e-mail address, a web address, or mostly numbers and dates."""
    cells = [cell[:LOOKED_AT_CHARS] for cell in cells]
    if any("@" in cell and _VALUE.search(cell) for cell in cells):
        return True
    values = sum(1 for cell in cells if _VALUE.search(cell))
    return values * 2 > len(cells)


def names_of(cells: Row, width: int) -> list[str]:
    """Column names that address every column: blank ones by position, repeated ones with a number.

    Raises InvalidError for more columns than a table may have.
    """
    if max(width, len(cells)) > MAX_COLUMNS:
        raise InvalidError.of(
            "file",
            gettext("A table may have %(max_columns)s columns.") % {"max_columns": MAX_COLUMNS},
            "too_many_columns",
        )
    names: list[str] = []
    taken: Counter[str] = Counter()
    used = set()
    for position in range(max(width, len(cells))):
        cell = cells[position].replace("\ufeff", "").replace("\x00", "") if position < len(cells) else ""
        name = " ".join(cell.split())[:200] or f"Column {position + 1}"
        taken[name] += 1
        unique = name if taken[name] == 1 else f"{name} ({taken[name]})"
        while unique in used:
            taken[name] += 1
            unique = f"{name} ({taken[name]})"
        used.add(unique)
        names.append(unique)
    return names


def is_end_of_file(cells: Row) -> bool:
    """Whether the row is the mark that old programs put at the end of a file."""
    return bool(cells) and cells[0].strip() == END_OF_FILE and not any(map(str.strip, cells[1:]))


def is_ordinary(cells: Row, first_header: str) -> bool:
    """Whether a row is certainly one of the table, known from its first two cells."""
    if len(cells) < 2 or not cells[0] or not cells[1] or cells[0] == first_header:
        return False
    if cells[0].isspace() or cells[1].isspace():
        return False
    return cells[0][0] != END_OF_FILE and not _UNUSUAL.match(cells[0][:LOOKED_AT_CHARS])


def is_subtotal(cells: Row) -> bool:
    """Whether a row is one of sums wherever it stands: `Subtotal,,300`."""
    filled = [cell[:LOOKED_AT_CHARS] for cell in cells if cell.strip()]
    return len(filled) > 1 and bool(_SUBTOTAL.match(filled[0])) and all(map(_NUMBER.match, filled[1:]))


def is_ruler(cells: Row) -> bool:
    """Whether a row is a line drawn below headers: `----+-----`, `---,---`."""
    return any(cells) and all(_RULER.match(cell[:LOOKED_AT_CHARS]) for cell in cells if cell.strip())


def stands_alone(cells: Row) -> bool:
    """Whether only the first cell of a row is filled."""
    return len(trimmed(cells)) == 1


def is_footer(cells: Row) -> bool:
    """Whether a row under the table is none of its records: a remark, or a row of sums."""
    first = cells[0][:LOOKED_AT_CHARS]
    if first and cells[-1] and len(cells) > 1 and not _SUM.match(first) and not _REMARK.match(first):
        return False
    filled = [cell for cell in cells if cell.strip()]
    filled = [cell[:LOOKED_AT_CHARS] for cell in filled]
    if len(filled) == 1:
        return bool(_FOOTER.search(filled[0]) or _REMARK.match(filled[0]))
    if not filled:
        return False
    if _SUM.match(filled[0]):
        return all(_NUMBER.match(cell) for cell in filled[1:])
    if not cells[0].strip():
        return False
    # A sentence that was cut at its commas.
    return bool(_REMARK.match(filled[0])) and len(trimmed(cells)) == len(filled) <= 3


def is_header_again(headers: Row, cells: Row) -> bool:
    """Whether a row under the headers says the same in other words: `First Name`, then `first_name`."""
    other = trimmed(cells)
    if len(other) < 2 or len(other) > len(headers):
        return False
    return all(_squeezed(cell) == _squeezed(header) for cell, header in zip(other, headers, strict=False))


def _squeezed(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def may_be_headers(cells: Row, width: int) -> bool:
    """Whether a row after a blank one may be the headers of another table: words, each there once."""
    names = trimmed(cells)
    if width < 2 or len(names) < 2 or looks_like_values(names):
        return False
    words = [cell.strip().casefold() for cell in names]
    return all(words) and len(set(words)) == len(words) and not any(map(_VALUE.search, names))


def begins_table(headers: Row, below: Row, above: Row, width: int) -> bool:
    """Whether two rows after a blank one are the beginning of another table: headers, as wide as the row
    below them, and either not as wide as this table, or words where several columns of the row above or
    below hold numbers, dates or addresses."""
    names, values = trimmed(headers), trimmed(below)
    if not len(names) - 1 <= len(values) <= len(names):
        return False
    if len(names) != width and len(values) != width:
        return True
    typed = [column for column in zip(above, below, strict=False) if any(map(_is_value, column))]
    return len(names) == width and len(typed) > 1


def _is_value(cell: str) -> bool:
    return bool(_VALUE.search(cell[:LOOKED_AT_CHARS]))
