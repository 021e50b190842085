"""Phone numbers without a country code, read by the country their row names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.entities.regions import COUNTRY_FIELD, region_at
from core.transfer.checked import KEPT_AS_WRITTEN, Checked, is_local, join
from core.transfer.values import CellReader, Values


class PhoneRegions:
    """Reads phone columns with one reader per region."""

    def __init__(self) -> None:
        self.readers: dict[tuple[str, str], CellReader] = {}

    def read(self, plain: CellReader, cells: Iterable[str], rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """As `plain` would, each cell by its row's country where that is known."""
        found = []
        for cell, row in zip(cells, rows, strict=True):
            region = region_at(row.get(COUNTRY_FIELD), "") if is_local(cell) else ""
            found += (self._reader(plain, region) if region else plain).read((cell,))
        return found

    def placed(self, row: int, region: str, given: Values, checked: Checked) -> Values:
        """A row's values with its local phone numbers read by a region."""
        local, found = checked.local.pop(row), dict(given)
        names = {item.target.name for item in local}
        for warning in checked.warnings.pop(row, []):
            if warning.code != KEPT_AS_WRITTEN or warning.field not in names:
                checked.warn(row, warning)
        for item in local:
            found.pop(item.reader.column.path, None)
        for item in local:
            path, value = item.reader.column.path, self._read_in(item.reader, region, item.cell)
            if isinstance(value, list):
                join(found, path, value)
            else:
                found[path] = value
            checked.doubt(row, item, value)
        checked.local.pop(row, None)
        return found

    def _read_in(self, plain: CellReader, region: str, cell: str) -> Any:
        """One cell by the country of the record it is about."""
        return self._reader(plain, region).read_one(cell)

    def _reader(self, plain: CellReader, region: str) -> CellReader:
        key = region, plain.column.name
        if key not in self.readers:
            column = plain.column
            self.readers[key] = CellReader(
                replace(column, field_type=column.field_type.in_region(region)), plain.format
            )
        return self.readers[key]
