"""Text tables: settling how to read one, and reading it."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import BinaryIO

from django.utils.translation import gettext

from core.errors import InvalidError
from core.transfer.reading import dialect, encoding, layout
from core.transfer.reading.counting import count_rows
from core.transfer.reading.dialect import Dialect
from core.transfer.reading.layout import Numbered
from core.transfer.reading.recognising import not_a_table
from core.transfer.reading.shape import ReadingOptions, Shape

SAMPLE_CHARS = 1 << 18
csv.field_size_limit(dialect.FIELD_LIMIT)


def settle(file: BinaryIO, asked: ReadingOptions) -> Shape:
    """How to read this file. Raises InvalidError for what is no table."""
    seen = encoding.scan(file)
    codec = encoding.check(asked.encoding) if asked.encoding else encoding.detect(file, seen)
    decoding = encoding.errors_of(codec, file, seen)
    sample = _sample(file, codec)
    first, _, rest = sample.partition("\n")
    sep = dialect.declared(first)
    asked_for = dialect.check(asked.delimiter) if asked.delimiter else sep
    found = dialect.detect(rest if sep else sample, asked_for)
    rows = _sample_rows(file, codec, found, asked.skip_rows, decoding)
    if not rows:
        raise InvalidError.of("file", gettext("The file holds nothing but blanks."), "empty_file")
    skipped = 1 if sep else 0
    index = _header(rows, asked, skipped)
    shape = _shape(rows, index, codec, found, max(asked.skip_rows, skipped))
    shape = replace(shape, decoding=decoding, lines_above=layout.lines_above(rows, index, asked, skipped))
    counted = None
    if found.is_plain:
        wide, header = len(shape.headers) > 1, list(shape.header_cells)
        counted = count_rows(file, codec, found.delimiter, shape.first_row, wide=wide, header=header)
    if counted is None:
        return replace(shape, size=seen.size)
    return replace(shape, size=seen.size, rows=counted.rows, unbalanced_quotes=counted.open)


def _shape(rows: list[Numbered], index: int | None, codec: str, found: Dialect, skipped: int) -> Shape:
    cells = [row[2] for row in rows if index is not None or row[0] > skipped]
    width = layout.width_of(cells[0 if index is None else index :])
    head = [] if index is None else layout.trimmed(cells[index])
    names = layout.names_of(head, width)
    above = skipped if index is None else rows[index][0]
    below = above
    if index is not None and index + 1 < len(rows):
        row = rows[index + 1]
        if layout.is_header_again(head, row[2]) or layout.is_ruler(row[2]):
            below = row[0]
    return Shape(
        format="csv",
        headers=names,
        encoding=codec,
        delimiter=found.delimiter,
        quotechar=found.quotechar,
        escapechar=found.escapechar,
        skip_blanks=found.skip_blanks,
        header_cells=tuple(head),
        first_row=below,
        header_row=0 if index is None else above,
    )


def _header(rows: list[Numbered], asked: ReadingOptions, skipped: int) -> int | None:
    """Index of the header among the sampled rows, as asked for or found; None for a table without."""
    rows_below = rows[skipped:]
    if asked.header_row == 0:
        return None
    if asked.header_row is not None:
        for index, row in enumerate(rows):
            if row[0] == asked.header_row:
                return index
        raise InvalidError.of(
            "header_row",
            gettext("Row %(header_row)s is blank or beyond the file.") % {"header_row": asked.header_row},
        )
    found = layout.header_index([row[2] for row in rows_below])
    if found is None:
        raise InvalidError.of(
            "header_row",
            gettext(
                "No line of column headers was found: the first line holds values. Send header_row=0 and a"
                ' mapping such as {"Column 1": "email"}.'
            ),
            "no_header",
        )
    return found + skipped


def _sample(file: BinaryIO, codec: str) -> str:
    file.seek(0)
    reader = io.TextIOWrapper(file, encoding=codec, errors="replace", newline="")
    try:
        text = reader.read(SAMPLE_CHARS)
    except UnicodeError as error:
        raise InvalidError.of(
            "encoding",
            gettext("Not %(codec)s (%(error)s); name the encoding.") % {"codec": codec, "error": error},
            "wrong_encoding",
        ) from error
    finally:
        reader.detach()
    if text.count("\x00") * 20 > len(text):
        raise not_a_table(gettext("binary data"))
    return text


def _sample_rows(
    file: BinaryIO, codec: str, dialect_found: Dialect, skip: int, decoding: str
) -> list[Numbered]:
    """The first rows that are not blank."""
    found: list[Numbered] = []
    for row in records(file, codec, dialect_found, decoding):
        if row[0] > skip and any(cell.strip() for cell in row[2]):
            found.append(row)
        if len(found) >= dialect.SAMPLE_ROWS:
            break
    return found


def records_of(file: BinaryIO, shape: Shape) -> Iterator[Numbered]:
    """Every record of a file of this shape."""
    found = Dialect(shape.delimiter, shape.quotechar, shape.escapechar, shape.skip_blanks)
    return records(file, shape.encoding, found, shape.decoding)


def records(file: BinaryIO, codec: str, found: Dialect, errors: str = "strict") -> Iterator[Numbered]:
    """Every record with its number from 1 and its line. Raises InvalidError where it cannot go on."""
    file.seek(0)
    text = io.TextIOWrapper(file, encoding=codec, errors=errors, newline="")
    reader = csv.reader(_without_nulls(text) if found.escapechar else text, **found.options)
    line = 1
    try:
        for number, cells in enumerate(reader, 1):
            yield number, line, cells
            line = reader.line_num + 1
    except UnicodeError as error:
        reason = getattr(error, "reason", error)
        message = gettext(
            "Not %(codec)s somewhere from line %(line)s on (%(reason)s); name the encoding."
        ) % {"codec": codec, "line": line, "reason": reason}
        raise InvalidError.of("encoding", message, "wrong_encoding") from error
    except csv.Error:
        message = gettext(
            'A cell beginning on line %(line)s is larger than 1 MiB: is a quote (") left open there?'
        ) % {"line": line}
        raise InvalidError.of("file", message, "cell_too_large") from None
    finally:
        if not file.closed:
            text.detach()


# How MySQL writes a value that is not there; as an escape it would be the letter N.
_NULL = re.compile(r"(?<![^,;\t|])\\N(?=[,;\t|\r\n]|$)")


def _without_nulls(lines: Iterable[str]) -> Iterator[str]:
    return (_NULL.sub("", line) for line in lines)
