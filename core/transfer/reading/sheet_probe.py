"""Opens a spreadsheet within a limit of memory: `python sheet_probe.py FILE BYTES [SHEET]`.

The reader keeps a place for every cell between the first and the last, and ends its process where memory
does: a file of two kilobytes with a cell in the last corner would take the web server along. Exits 0 when the
sheet fits into BYTES of memory, or is damaged, which the reader reports itself.
"""

import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook, SheetVisibleEnum


def chosen(book: Any, name: str | None) -> str:
    """The sheet to read: the named one, else the first that is to be seen."""
    visible = [s.name for s in book.sheets_metadata if s.visible == SheetVisibleEnum.Visible]
    return name or (visible or book.sheet_names)[0]


def main(path: str, limit: str, name: str = "") -> None:
    """Open it. Whatever else than a damaged file ends this process ends it badly."""
    resource.setrlimit(resource.RLIMIT_AS, (int(limit), int(limit)))
    with Path(path).open("rb") as file, suppress(CalamineError, IndexError):
        book = CalamineWorkbook.from_filelike(file)
        book.get_sheet_by_name(chosen(book, name))


if __name__ == "__main__":
    main(*sys.argv[1:])
