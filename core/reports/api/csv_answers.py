"""Reports as CSV: a line for each row and currency."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from django.http import HttpResponse

from core.transfer.csv_injection import escape

CURRENCY = "currency"


def csv_answer(name: str, answer: Mapping[str, Any]) -> HttpResponse:
    """The rows of a report as a file."""
    lines = [line for row in answer["rows"] for line in _lines(row)]
    header = list(dict.fromkeys(key for line in lines for key in line))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows([_cell(line.get(key)) for key in header] for line in lines)
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.csv"',
        "Cache-Control": "private, no-store",
    }
    return HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8", headers=headers)


def _lines(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A row, once for each of its currencies."""
    plain = {key: value for key, value in row.items() if not isinstance(value, Mapping | list)}
    groups = {group["field"]: group["label"] for group in row.get("groups", ())}
    previous = row.get("previous", {})
    before = {f"previous_{key}": value for key, value in previous.items() if key != "by_currency"}
    sums, sums_before = row.get("by_currency", {}), previous.get("by_currency", {})
    for currency in sorted({*sums, *sums_before}) or [None]:
        money = {} if currency is None else {CURRENCY: currency, **_sums(sums.get(currency, {}), "")}
        money |= _sums(sums_before.get(currency, {}), "previous_")
        yield {**groups, **plain, **before, **money}


def _sums(found: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Sums of a currency; how many amounts they are of is no count of records."""
    return {f"{prefix}{'amounts' if key == 'count' else key}": value for key, value in found.items()}


def _cell(value: Any) -> Any:
    return "" if value is None else escape(value) if isinstance(value, str) else value
