"""Exports: the rows of a list as a stream of bytes, in constant memory.

CSV is written by PostgreSQL itself (COPY … TO STDOUT), JSON lines are its documents; spreadsheets are made in
a temporary file, because their end is written first.
"""

import csv
import io
import json
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any, BinaryIO

from django.db import DatabaseError, connections
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from core.conditions.list_query import ListQuery, joined, list_query
from core.entities import Column, Entity, field_types
from core.entities.custom import PREFIX, schema
from core.entities.field_types import Boolean
from core.entities.json_sql import rows_as_text
from core.entities.reading import pick
from core.errors import InvalidError, refused_as
from core.transfer.cells import cell
from core.transfer.computed_columns import ComputedCells, columns_of
from core.transfer.csv_injection import escape
from core.transfer.reading.sheets import UTC_MARK

FORMATS = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "jsonl": "application/x-ndjson",
}
PARAMETERS = frozenset(("format", "bom", "delimiter", "formulas"))
BLOCK = 64 << 10
AT_ONCE = 2_000
# Excel's own limits.
SHEET_ROWS, CELL_CHARS = 1_048_575, 32_767


@dataclass(frozen=True)
class Export:
    """What is to be exported, and how it is written."""

    entity: Entity
    columns: list[Column]
    found: ListQuery
    user: Any
    format: str = "csv"
    bom: bool = False
    delimiter: str = ","
    escaped: bool = True

    @property
    def content_type(self) -> str:
        return FORMATS[self.format]

    def rows(self, using: str) -> QuerySet:
        return self.found.ordered().using(using)


def export_of(entity: Entity, params: Mapping[str, Any], user: Any) -> Export:
    """The export that a list's parameters ask for. Raises InvalidError."""
    found = list_query(entity, params, user, ignored=PARAMETERS)
    if found.expand:
        raise InvalidError.of("expand", _("Exports name references and do not expand them."), "unknown")
    return Export(
        found.entity,
        _columns(found.entity, found.fields),
        found,
        user,
        _choice(params, "format", tuple(FORMATS), "csv"),
        _flag(params, "bom"),
        {"tab": "\t"}.get(d := _choice(params, "delimiter", (",", ";", "tab"), ","), d),
        _choice(params, "formulas", ("disarm", "keep"), "disarm") == "disarm",
    )


def _columns(entity: Entity, names: list[str]) -> list[Column]:
    """All columns and custom fields, or those that are named, which may be added cells too."""
    known = schema(entity, names=[PREFIX])
    if names:
        return pick({**known, **columns_of(entity)}, names, "fields")
    return [column for column in known.values() if column.name != "custom_fields"]


def _choice(params: Mapping[str, Any], name: str, allowed: tuple[str, ...], default: str) -> str:
    text = joined(params, name) or default
    if text not in allowed:
        raise InvalidError.of(
            name, _("Expected one of: %(names)s") % {"names": " ".join(allowed)}, "invalid_choice"
        )
    return text


def _flag(params: Mapping[str, Any], name: str) -> bool:
    with refused_as(name):
        return Boolean().to_internal_value(joined(params, name) or "false")


def stream(
    export: Export, using: str, counted: Callable[[int], None] = lambda rows: None
) -> Generator[bytes]:
    """The export's bytes; `counted` is called with the number of rows so far."""
    with _no_time_limit(using):
        yield from _WRITERS[export.format](export, using, counted)


@contextmanager
def _no_time_limit(using: str) -> Iterator[None]:
    """An export takes as long as who reads it: its one statement has not the limit that others have."""
    connection = connections[using]
    if not connection.settings_dict["DISABLE_SERVER_SIDE_CURSORS"]:
        _set_time_limit(connection, "SET statement_timeout = 0")
    try:
        yield
    finally:
        if connection.connection is not None and not connection.connection.closed:
            # In a transaction that failed it is taken back with everything else.
            with suppress(DatabaseError):
                _set_time_limit(connection, "RESET statement_timeout")


def _set_time_limit(connection: Any, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


# ---- CSV ----


def _csv(export: Export, using: str, counted: Callable[[int], None]) -> Generator[bytes]:
    yield (b"\xef\xbb\xbf" if export.bom else b"") + _line(export, [c.name for c in export.columns])
    filler = ComputedCells(export.entity, export.columns, export.user, using)
    copied = _copied(export, using)
    with closing(_whole(copied) if filler else copied) as blocks:
        for rows, block in blocks:
            yield _worded(export, filler, block)
            counted(rows)


# How many rows there were by now, and some whole lines.
Blocks = Generator[tuple[int, bytes]]


def _copied(export: Export, using: str) -> Blocks:
    """The lines as the database writes them."""
    sql, params = _select(export, using)
    connection = connections[using]
    delimiter = export.delimiter.replace("\t", "\\t")
    statement = f"COPY ({sql}) TO STDOUT WITH (FORMAT csv, DELIMITER E'{delimiter}')"
    rows = 0
    connection.ensure_connection()
    # psycopg's own cursor: Django's debugging one takes no parameters here.
    with connection.connection.cursor() as cursor, cursor.copy(statement, params) as copy:
        block = bytearray()
        for line in copy:
            block += line
            rows += 1
            if len(block) >= BLOCK:
                yield rows, bytes(block)
                block.clear()
    yield rows, bytes(block)


def _whole(blocks: Blocks) -> Blocks:
    """The blocks once all of them are there: until then the connection is busy with the COPY, and computing
    cells asks it too."""
    with tempfile.TemporaryFile() as file:
        sizes = [(rows, file.write(block)) for rows, block in blocks]
        file.seek(0)
        for rows, size in sizes:
            yield rows, file.read(size)


def _worded(export: Export, filler: ComputedCells, block: bytes) -> bytes:
    """Whole lines with their added cells, quoted in any case."""
    if not filler:
        return block

    def quoted(words: str) -> str:
        text = escape(words) if export.escaped else words
        return '"' + text.replace('"', '""') + '"'

    return filler.text(block.decode(), quoted).encode()


def _line(export: Export, cells: list[str]) -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=export.delimiter, lineterminator="\n").writerow(cells)
    return out.getvalue().encode()


def _select(export: Export, using: str) -> tuple[str, Any]:
    """The statement that gives the cells, in the list's order."""
    cells = {f"_c{i}": cell(column, escaped=export.escaped) for i, column in enumerate(export.columns)}
    return export.rows(using).annotate(**cells).values_list(*cells).query.get_compiler(using).as_sql()


def _read(rows: QuerySet) -> Generator[Any]:
    """Rows from a cursor of the server's. To be closed by name: one that is closed only after its transaction
    fails the next statement."""
    yield from rows.iterator(AT_ONCE)


# ---- JSON lines ----


def _jsonl(export: Export, using: str, counted: Callable[[int], None]) -> Generator[bytes]:
    """The records as the API shows them, one in a line."""
    rows, filler = 0, ComputedCells(export.entity, export.columns, export.user, using)
    with closing(_read(export.rows(using).values_list("pk", flat=True))) as wanted:
        while ids := list(islice(wanted, AT_ONCE)):
            found = rows_as_text(export.entity, export.columns, ids, using)
            rows += len(found)
            lines = "".join(f"{text}\n" for text in found)
            yield filler.text(lines, lambda words: json.dumps(words, ensure_ascii=False)[1:-1]).encode()
            counted(rows)


# ---- Spreadsheets ----


def _xlsx(export: Export, using: str, counted: Callable[[int], None]) -> Generator[bytes]:
    with tempfile.TemporaryFile() as file:
        _write_book(export, using, counted, file)
        file.seek(0)
        while block := file.read(BLOCK):
            yield block


def _write_book(export: Export, using: str, counted: Callable[[int], None], file: BinaryIO) -> None:
    """Text as text, so that no formula runs; numbers as numbers; further sheets beyond Excel's last row."""
    import xlsxwriter  # heavy, and used by those exports alone

    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    cells = {f"_c{i}": _sheet_cell(column) for i, column in enumerate(export.columns)}
    found = _read(export.rows(using).annotate(**cells).values_list(*cells))
    with xlsxwriter.Workbook(file, options) as book, closing(found):
        book.set_custom_property(UTC_MARK, "yes")
        formats = _Formats(
            book.add_format({"num_format": "yyyy-mm-dd"}),
            book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
        )
        numeric = [
            isinstance(c.field_type, field_types.Integer | field_types.Float | field_types.Money)
            for c in export.columns
        ]
        sheet, number = None, 0
        filler = ComputedCells(export.entity, export.columns, export.user, using)
        for number, values in enumerate(filler.rows(found)):
            if number % AT_ONCE == 0:
                counted(number)
            if number % SHEET_ROWS == 0:
                sheet = _sheet(book, export)
            _write_row(sheet, number % SHEET_ROWS + 1, values, numeric, formats)
        if sheet is None:
            _sheet(book, export)
        counted(number + 1 if sheet else 0)


def _sheet(book: Any, export: Export) -> Any:
    sheet = book.add_worksheet()
    for place, column in enumerate(export.columns):
        sheet.write_string(0, place, column.name)
    return sheet


@dataclass(frozen=True)
class _Formats:
    """How a workbook shows days and moments."""

    day: Any
    moment: Any


def _sheet_cell(column: Column) -> Any:
    """The expression of a column in a spreadsheet, where a moment is no text."""
    if isinstance(column.field_type, field_types.DateTime) and not column.custom:
        return column.target
    return cell(column, escaped=False)


def _write_row(sheet: Any, row: int, values: tuple[Any, ...], numeric: list[bool], formats: _Formats) -> None:
    for place, value in enumerate(values):
        if value is None or value == "":
            continue
        # Spreadsheets know no day before 1900, and take that year for a leap year.
        if isinstance(value, date) and value.year > 1900:
            if isinstance(value, datetime):
                in_utc = value.astimezone(UTC).replace(tzinfo=None, microsecond=0)
                sheet.write_datetime(row, place, in_utc, formats.moment)
            else:
                sheet.write_datetime(row, place, value, formats.day)
            continue
        # Sixteen digits and more lose their end as a spreadsheet's number.
        if numeric[place] and not isinstance(value, str) and abs(value) < 10**13:
            sheet.write_number(row, place, value)
            continue
        text = value.isoformat() if isinstance(value, date) else str(value)
        if text.startswith("'"):
            # A text cell runs nothing; but what looks disarmed would be needs_escape by the import.
            text = escape(text)
        if len(text) > CELL_CHARS:
            message = _(
                "Row %(value)s holds a cell of %(count)s characters; Excel takes %(cell_chars)s. Use CSV."
            ) % {"value": row + 1, "count": len(text), "cell_chars": CELL_CHARS}
            raise InvalidError.of("format", message, "cell_too_large")
        sheet.write_string(row, place, text)


_WRITERS: dict[str, Callable[[Export, str, Callable[[int], None]], Generator[bytes]]] = {
    "csv": _csv,
    "jsonl": _jsonl,
    "xlsx": _xlsx,
}


def header_of(entity: Entity) -> list[str]:
    """The headers of an import template: every column that can be written, custom fields too. Linked records
    are left out: an export has them only where they are named, and has every header of a template."""
    known = schema(entity, names=[PREFIX])
    return [c.name for c in known.values() if c.writable and c.name != "custom_fields"]
