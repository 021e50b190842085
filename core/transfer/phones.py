"""Phone numbers without a country code, read by the country their row names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import phonenumbers
from babel import Locale

from core.transfer.headers import normalised
from core.transfer.values import CellReader

COUNTRY = "country"
LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "sv")
_SHORT = {"uk": "GB", "u k": "GB", "england": "GB", "scotland": "GB", "usa": "US", "u s a": "US", "u s": "US"}


class PhoneRegions:
    """Reads phone columns with one reader per region."""

    def __init__(self) -> None:
        self.readers: dict[str, CellReader] = {}

    def read(self, plain: CellReader, cells: Iterable[str], rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """As `plain` would, each cell by its row's country where that is known."""
        found = []
        for cell, row in zip(cells, rows, strict=True):
            region = region_of(row.get(COUNTRY, ""))
            found += (self._reader(plain, region) if region else plain).read((cell,))
        return found

    def _reader(self, plain: CellReader, region: str) -> CellReader:
        key = f"{region} {plain.column.name}"
        if key not in self.readers:
            column = plain.column
            self.readers[key] = CellReader(
                replace(column, field_type=column.field_type.copy(region=region)), plain.notation
            )
        return self.readers[key]


@lru_cache(maxsize=4_096)
def region_of(country: str) -> str:
    """The region (ISO 3166-1 alpha-2) of a country by code or by name in several languages; "" if unknown."""
    code = country.strip().upper()
    if code in phonenumbers.SUPPORTED_REGIONS:
        return code
    plain = normalised(country)
    return _SHORT.get(plain) or _regions_by_name().get(plain, "")


@lru_cache(maxsize=1)
def _regions_by_name() -> dict[str, str]:
    found: dict[str, str] = {}
    for language in LANGUAGES:
        for code, name in Locale(language).territories.items():
            if code in phonenumbers.SUPPORTED_REGIONS:
                found.setdefault(normalised(name), code)
    return found
