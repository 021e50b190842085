"""Rates from a CSV file: a line for each, with the columns `currency`, `date` and `rate` in any order."""

import csv
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from django.utils.translation import gettext as _

from core.currencies.field_types import RateOfExchange
from core.currencies.models import base_currency
from core.currencies.recording import DatedRate
from core.entities.field_types import Date, FieldType
from core.entities.money import CURRENCY
from core.errors import FieldIssue, InvalidError, ValueRefusedError

COLUMNS: Mapping[str, FieldType] = {"currency": CURRENCY, "date": Date(), "rate": RateOfExchange()}
MAX_LINES = 50_000
MAX_ISSUES = 100


def read(content: bytes) -> list[DatedRate]:
    """The rates in the file. Raises InvalidError that names each wrong cell as `lines.<number>.<column>`."""
    reader = _reader(content)
    issues: list[FieldIssue] = []
    found: dict[tuple[str, date], DatedRate] = {}
    for cells in _lines(reader):
        rate = _rate(reader.line_num, cells, issues)
        if rate is not None and (rate.currency, rate.date) in found:
            issues.append(_issue(reader.line_num, "currency", "unique", _("This rate is in the file twice.")))
        elif rate is not None:
            found[rate.currency, rate.date] = rate
        if len(issues) >= MAX_ISSUES:
            break
    if issues or not found:
        raise InvalidError(issues or [FieldIssue("file", "empty", _("There is no rate in the file."))])
    return list(found.values())


def _reader(content: bytes) -> Any:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidError.of("file", _("Expected text in UTF-8.")) from None
    lines = text.splitlines()
    delimiter = ";" if lines and ";" in lines[0] else ","
    reader = csv.DictReader(lines, delimiter=delimiter, strict=True, restkey="")
    reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
    if sorted(reader.fieldnames) != sorted(COLUMNS):
        raise InvalidError.of(
            "file", _("Expected the columns %(names)s.") % {"names": ", ".join(COLUMNS)}, "columns"
        )
    return reader


def _lines(reader: Any) -> Iterator[dict[str, Any]]:
    try:
        yield from reader
    except csv.Error as error:
        raise InvalidError.of(
            "file", _("Line %(line_num)s: %(error)s.") % {"line_num": reader.line_num, "error": error}
        ) from None


def _rate(line: int, cells: dict[str, Any], issues: list[FieldIssue]) -> DatedRate | None:
    if line > MAX_LINES + 1:
        raise InvalidError.of(
            "file", _("At most %(max_lines)s rates.") % {"max_lines": MAX_LINES}, "max_length"
        )
    before = len(issues)
    values = {name: _value(line, name, cells.get(name), issues) for name in COLUMNS}
    if values["currency"] == base_currency():
        issues.append(
            _issue(
                line,
                "currency",
                "base_currency",
                _("Rates are given in %(base_currency)s.") % {"base_currency": base_currency()},
            )
        )
    return DatedRate(**values) if len(issues) == before else None


def _value(line: int, name: str, cell: Any, issues: list[FieldIssue]) -> Any:
    if not isinstance(cell, str) or not cell.strip():
        issues.append(_issue(line, name, "required", _("This field is required.")))
        return None
    try:
        return COLUMNS[name].to_internal_value(cell)
    except ValueRefusedError as error:
        issues.append(_issue(line, name, error.code, error.message))
        return None


def _issue(line: int, column: str, code: str, message: str) -> FieldIssue:
    return FieldIssue(f"lines.{line}.{column}", code, message)
