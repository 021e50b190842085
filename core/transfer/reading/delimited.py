"""Text tables: settling how to read one, and reading it."""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from core.errors import InvalidError
from core.transfer.reading import dialect, encoding, layout
from core.transfer.reading.counting import count_rows
from core.transfer.reading.recognising import not_a_table
from core.transfer.reading.shape import Asked, Shape

SAMPLE_CHARS = 1 << 18
csv.field_size_limit(dialect.FIELD_LIMIT)

Numbered = tuple[int, int, list[str]]  # spreadsheet row, physical line, cells


def settle(file: BinaryIO, asked: Asked) -> Shape:
    """How to read this file. Raises InvalidError for what is no table."""
    seen = encoding.scan(file)
    codec = encoding.check(asked.encoding) if asked.encoding else encoding.detect(file, seen)
    sample = _sample(file, codec)
    first, _, _rest = sample.partition("\n")
    sep = dialect.declared(first)
    delimiter = dialect.check(asked.delimiter) if asked.delimiter else sep or dialect.detect(sample)
    rows = _sample_rows(file, codec, delimiter, asked.skip_rows)
    if not rows:
        raise InvalidError.of("file", "The file holds nothing but blanks.", "empty_file")
    skipped = 1 if sep else 0
    index = _header(rows, asked, skipped)
    shape = _shape(rows, index, codec, delimiter, max(asked.skip_rows, skipped))
    counted = count_rows(file, codec, delimiter, shape.first_row, wide=len(shape.headers) > 1)
    if counted is None:
        return replace(shape, size=seen.size)
    return replace(shape, size=seen.size, rows=counted.rows, unbalanced_quotes=counted.open)


def _shape(rows: list[Numbered], index: int | None, codec: str, delimiter: str, skipped: int) -> Shape:
    cells = [row[2] for row in rows if index is not None or row[0] > skipped]
    width = layout.width_of(cells[0 if index is None else index :])
    head = [] if index is None else layout.trimmed(cells[index])
    names = layout.names_of(head, width)
    above = skipped if index is None else rows[index][0]
    return Shape(
        format="csv",
        headers=names,
        encoding=codec,
        delimiter=delimiter,
        first_row=above,
        header_row=0 if index is None else above,
    )


def _header(rows: list[Numbered], asked: Asked, skipped: int) -> int | None:
    """Index of the header among the sampled rows, as asked for or found; None for a table without."""
    rows_below = rows[skipped:]
    if asked.header_row == 0:
        return None
    if asked.header_row is not None:
        for index, row in enumerate(rows):
            if row[0] == asked.header_row:
                return index
        raise InvalidError.of("header_row", f"Row {asked.header_row} is blank or beyond the file.")
    found = layout.header_index([row[2] for row in rows_below])
    if found is None:
        raise InvalidError.of(
            "header_row",
            "No line of column headers was found: the first line holds values. Send header_row=0 and a"
            ' mapping such as {"Column 1": "email"}.',
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
            "encoding", f"Not {codec} ({error}); name the encoding.", "wrong_encoding"
        ) from error
    finally:
        reader.detach()
    if text.count("\x00") * 20 > len(text):
        raise not_a_table("binary data")
    return text


def _sample_rows(file: BinaryIO, codec: str, delimiter: str, skip: int) -> list[Numbered]:
    """The first rows that are not blank."""
    found: list[Numbered] = []
    for row in records(file, codec, delimiter):
        if row[0] > skip and any(cell.strip() for cell in row[2]):
            found.append(row)
        if len(found) >= dialect.SAMPLE_ROWS:
            break
    return found


def records(file: BinaryIO, codec: str, delimiter: str, errors: str = "strict") -> Iterator[Numbered]:
    """Every record with its number from 1 and its line. Raises InvalidError where it cannot go on."""
    file.seek(0)
    text = io.TextIOWrapper(file, encoding=codec, errors=errors, newline="")
    reader = csv.reader(text, delimiter=delimiter)
    line = 1
    try:
        for number, cells in enumerate(reader, 1):
            yield number, line, cells
            line = reader.line_num + 1
    except UnicodeError as error:
        reason = getattr(error, "reason", error)
        message = f"Not {codec} somewhere from line {line} on ({reason}); name the encoding."
        raise InvalidError.of("encoding", message, "wrong_encoding") from error
    except csv.Error:
        message = f'A cell beginning on line {line} is larger than 1 MiB: is a quote (") left open there?'
        raise InvalidError.of("file", message, "cell_too_large") from None
    finally:
        if not file.closed:
            text.detach()
