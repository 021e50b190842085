"""Spreadsheets: cells as the text a person sees in them, dates in ISO 8601."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from django.utils.translation import gettext
from python_calamine import CalamineError, CalamineWorkbook, SheetVisibleEnum

from core.errors import InvalidError
from core.transfer.reading import layout
from core.transfer.reading.filtering import RecordFilter
from core.transfer.reading.layout import Numbered
from core.transfer.reading.number_formats import Formats, formats_of, property_of, shown, with_cells
from core.transfer.reading.recognising import not_a_table
from core.transfer.reading.shape import ReadingOptions, Shape
from core.transfer.reading.sheet_probe import chosen

PROBE = Path(__file__).with_name("sheet_probe.py")
# What a sheet may take of memory in bytes: a million rows of fourteen columns of text want half of it.
MEMORY = min(3_000_000_000, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)
PATIENCE_S = 120
# The property that our own exports bear: spreadsheets keep no zone with their times.
UTC_MARK = "times_in_utc"


def settle(file: BinaryIO, asked: ReadingOptions) -> Shape:
    """How to read this workbook. Raises InvalidError."""
    _must_be_bearable(file, asked.sheet)
    sheet = _sheet(file, asked.sheet)
    others = () if asked.sheet else _others(file, sheet.name)
    rows = []
    for row in _rows(sheet):
        if row[0] > asked.skip_rows and any(row[2]):
            rows.append(row)
        if len(rows) >= layout.LOOKED_AT:
            break
    if not rows:
        raise InvalidError.of("file", gettext("The sheet is empty."), "empty_file")
    index = _header(rows, asked)
    cells = [row[2] for row in rows]
    width = layout.width_of(cells[0 if index is None else index :])
    above = asked.skip_rows if index is None else rows[index][0]
    head = [] if index is None else layout.trimmed(cells[index])
    below = above
    if index is not None and index + 1 < len(rows) and layout.is_header_again(head, cells[index + 1]):
        below = rows[index + 1][0]
    return Shape(
        format="xlsx",
        headers=layout.names_of(head, width),
        header_cells=tuple(head),
        first_row=below,
        header_row=0 if index is None else above,
        sheet=sheet.name,
        other_sheets=others,
        lines_above=layout.lines_above(rows, index, asked),
        timezone="UTC" if property_of(file, UTC_MARK) else "",
        rows=_count(sheet, head, width, below),
    )


def _must_be_bearable(file: BinaryIO, name: str | None) -> None:
    """Raises InvalidError for a sheet that takes more memory or time than any should (sheet_probe)."""
    file.seek(0)
    with tempfile.NamedTemporaryFile() as copy:
        shutil.copyfileobj(file, copy)
        copy.flush()
        command = [sys.executable, "-I", str(PROBE), copy.name, str(MEMORY), *([name] if name else [])]
        try:
            ended = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=False)  # noqa: S603  the command is ours
        except subprocess.TimeoutExpired:
            ended = None
    if ended is None or ended.returncode:
        raise not_a_table(
            gettext("a spreadsheet whose cells lie too far apart or are too many"),
            gettext("Delete stray cells, or send it as CSV."),
        )


def _count(sheet: Any, head: list[str], width: int, above: int) -> int:
    """Rows of the table, read as it will be."""
    shape = Shape(format="xlsx", headers=[""] * width, header_cells=tuple(head), first_row=above)
    return sum(1 for _ in RecordFilter(shape).records(_rows(sheet)))


def records(file: BinaryIO, name: str) -> Iterator[Numbered]:
    """Every row of the sheet, with its number from 1 (twice: a sheet has no lines)."""
    yield from _rows(_sheet(file, name), formats_of(file, name))


def _header(rows: list[Numbered], asked: ReadingOptions) -> int | None:
    if asked.header_row == 0:
        return None
    if asked.header_row is None:
        found = layout.header_index([row[2] for row in rows])
        if found is None:
            raise InvalidError.of("header_row", gettext("No row of column headers was found."), "no_header")
        return found
    for index, row in enumerate(rows):
        if row[0] == asked.header_row:
            return index
    raise InvalidError.of(
        "header_row",
        gettext("Row %(header_row)s is blank or beyond the sheet.") % {"header_row": asked.header_row},
    )


def _sheet(file: BinaryIO, name: str | None) -> Any:
    """The named sheet, or the first that is to be seen."""
    file.seek(0)
    try:
        book = CalamineWorkbook.from_filelike(file)
        if name and name not in book.sheet_names:
            known = ", ".join(book.sheet_names)
            raise InvalidError.of(
                "sheet",
                gettext("There is no sheet %(name)s. Known: %(known)s.")
                % {"name": repr(name[:60]), "known": known[:300]},
            )
        return book.get_sheet_by_name(chosen(book, name))
    except (CalamineError, IndexError):
        raise not_a_table(gettext("a damaged spreadsheet")) from None


def _others(file: BinaryIO, name: str) -> tuple[str, ...]:
    """The further sheets to be seen that hold something."""
    file.seek(0)
    known = CalamineWorkbook.from_filelike(file).sheets_metadata
    shown = [found.name for found in known if found.visible == SheetVisibleEnum.Visible]
    return with_cells(file, [found for found in shown if found != name])


def _rows(sheet: Any, formats: Formats | None = None) -> Iterator[Numbered]:
    start, first = sheet.start or (0, 0)
    for number, row in enumerate(sheet.iter_rows(), 1 + start):
        cells = [as_text(cell) for cell in row]
        if formats:
            # The reader leaves out blank columns before the first.
            cells = [
                shown(text, formats.get((number - 1, place), 0)) for place, text in enumerate(cells, first)
            ]
        yield number, number, cells


# Whole numbers up to here are written out; beyond it a number is no code, and its zeros are none.
WHOLE = 1e21


def as_text(cell: Any) -> str:
    """A typed cell as text that the columns' field types read back."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        if cell.is_integer() and abs(cell) < WHOLE:
            return str(int(cell))
        # Spreadsheets show and keep fifteen digits: 0.1 + 0.2 is 0.3 to whoever typed it.
        return f"{cell:.15g}"
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    return "" if cell is None else str(cell)
