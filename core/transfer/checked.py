"""A chunk of a file as it was checked: values, and what is wrong or doubtful in each row."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from core.entities import field_types
from core.entities.regions import COUNTRY_FIELD
from core.transfer.import_fields import ImportField
from core.transfer.linked_columns import Links
from core.transfer.values import CellReader, Values

LEFT_EMPTY = "left_empty"
KEPT_AS_WRITTEN = "kept_as_written"


def is_local(cell: str) -> bool:
    """Whether a cell may hold a number without a country code."""
    return bool(cell) and cell[0] != "+"


@dataclass(frozen=True)
class Fault:
    """One thing wrong with one row, as the API shows it."""

    column: str
    field: str
    code: str
    value: str
    message: str

    def shown(self, row: int, line: int) -> dict[str, Any]:
        return {"row": row, "line": line, **vars(self)}


@dataclass(frozen=True)
class LocalCell:
    """A cell with phone numbers that its row does not place."""

    header: str
    target: ImportField
    reader: CellReader
    cell: str

    @property
    def may_be_local(self) -> bool:
        """Lists are read anew as a whole, with the numbers among them that anyone can place."""
        return isinstance(self.reader.column.field_type, field_types.TextList) or is_local(self.cell)


@dataclass
class Checked:
    """A chunk's rows: `given[i]` maps table columns to values the file gives (blank ones are not there);
    rows with faults stand in `faults`, what is doubtful about the others in `warnings`."""

    given: list[Values]
    custom: list[Values]
    # Whether rows may be about records whose country says more than the file does.
    rereads: bool = False
    faults: dict[int, list[Fault]] = field(default_factory=dict)
    warnings: dict[int, list[Fault]] = field(default_factory=dict)
    # Table columns whose cell could not be read: such a cell is not a blank one, which may empty a field.
    unreadable: dict[int, set[str]] = field(default_factory=dict)
    # Row → what is read anew by the record it is about, where the file does not say: cells with numbers that
    # have no country code, and the currencies that the sign of an amount may stand for.
    local: dict[int, list[LocalCell]] = field(default_factory=dict)
    # Row → name of a linked column → what its cells name.
    links: dict[int, dict[str, Links]] = field(default_factory=dict)
    signs: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def fault(self, row: int, fault: Fault) -> None:
        self.faults.setdefault(row, []).append(fault)

    def warn(self, row: int, fault: Fault) -> None:
        self.warnings.setdefault(row, []).append(fault)

    def doubt(self, row: int, found: LocalCell, value: Any) -> None:
        """Name a phone number that nobody can place, and remember what the record it is about may place."""
        if message := found.reader.column.field_type.warning(value):
            cell = found.cell[:200]
            self.warn(row, Fault(found.header, found.target.name, KEPT_AS_WRITTEN, cell, message))
        if self.rereads and not self.given[row].get(COUNTRY_FIELD) and found.may_be_local:
            self.local.setdefault(row, []).append(found)


def join(row: Values, path: str, items: Sequence[str]) -> None:
    """Add to a list of the row what it does not hold."""
    row[path] = list(dict.fromkeys([*row.get(path, []), *items]))


def left_empty(fault: Fault) -> Fault:
    return replace(fault, code=LEFT_EMPTY, message=f"Left empty: {fault.message}")
