"""Phone numbers without a country code, read by the country their row names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.entities import field_types
from core.entities.regions import COUNTRY_FIELD, region_of
from core.transfer.values import CellReader


def is_regional(kind: field_types.FieldType | None) -> bool:
    """Whether it makes a difference to values of this kind where they are from."""
    return isinstance(kind, field_types.Phone) or (
        isinstance(kind, field_types.TextList) and isinstance(kind.child, field_types.Phone)
    )


class PhoneRegions:
    """Reads phone columns with one reader per region."""

    def __init__(self) -> None:
        self.readers: dict[tuple[str, str], CellReader] = {}

    def read(self, plain: CellReader, cells: Iterable[str], rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """As `plain` would, each cell by its row's country where that is known."""
        found = []
        for cell, row in zip(cells, rows, strict=True):
            region = region_of(row.get(COUNTRY_FIELD, "")) if cell and cell[0] != "+" else ""
            found += (self._reader(plain, region) if region else plain).read((cell,))
        return found

    def _reader(self, plain: CellReader, region: str) -> CellReader:
        key = region, plain.column.name
        if key not in self.readers:
            column = plain.column
            self.readers[key] = CellReader(
                replace(column, field_type=column.field_type.in_region(region)), plain.format
            )
        return self.readers[key]
