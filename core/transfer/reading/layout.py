"""Where the table begins inside the file: lines above the headers, the headers, lines below the last row."""

import re
from collections import Counter
from collections.abc import Sequence

from core.errors import InvalidError

Row = Sequence[str]

_VALUE = re.compile(r"^[\s$€£¥+-]*[\d.,:/\sTZ%-]*\d[\d.,:/\sTZ%-]*$|@[^\s@]+\.\w+|^https?://")
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
        return index if not looks_like_values(filled) else None
    return None


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
        raise InvalidError.of("file", f"A table may have {MAX_COLUMNS} columns.", "too_many_columns")
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


def is_footer(cells: Row) -> bool:
    """Whether a lone cell under the table is a remark and no record."""
    filled = [cell for cell in cells if cell.strip()]
    return len(filled) == 1 and bool(_FOOTER.search(filled[0][:LOOKED_AT_CHARS]))
