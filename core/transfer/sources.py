"""Which columns of a file feed which field, and how their cells are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext as _

from core.entities import Column, field_types
from core.entities.field_types import trimmed
from core.entities.money import CURRENCY_FIELD
from core.entities.regions import COUNTRY_FIELD
from core.transfer import formats
from core.transfer.headers import normalised
from core.transfer.import_fields import FULL_NAME, ID, ImportField
from core.transfer.mapping import words_by_column
from core.transfer.matching import EXTERNAL_ID, match_columns
from core.transfer.planning import Plan
from core.transfer.reading import Chunk
from core.transfer.values import CellReader, ColumnFormat

MIXED_DATES = "mixed_dates"


@dataclass
class Source:
    """One target and the columns of the file that feed it; the first that is not blank counts."""

    target: ImportField
    positions: list[int]
    headers: list[str]
    reader: CellReader | None
    # Whether a cell that cannot be read refuses its row.
    decides: bool = False

    @property
    def column(self) -> Column | None:
        return self.target.column

    @property
    def path(self) -> str:
        """Where a value is stored in its row: the table's column, or the name of a linked one."""
        return self.column.path if self.column is not None else self.target.name

    @property
    def field_type(self) -> field_types.FieldType | None:
        return self.column.field_type if self.column is not None else None


class Sources:
    """The sources of one plan's table; `sample` settles how its columns write numbers and dates, and `notes`
    says what of that could be otherwise."""

    def __init__(self, made: Plan, sample: Chunk) -> None:
        self._plan = made
        self.notes: list[dict[str, Any]] = []
        # field → what values of the file the user says mean what.
        self.words = words_by_column(made.targets, made.options.value_mapping)
        self._deciding = self._decisive()
        self.in_order = self._grouped(sample)

    @property
    def written(self) -> list[Column]:
        """The columns that this mapping writes."""
        found = [s.column for s in self.in_order if s.column is not None]
        if any(s.target.name == FULL_NAME for s in self.in_order):
            found += [self._plan.targets.columns["first_name"], self._plan.targets.columns["last_name"]]
        return list(dict.fromkeys(found))

    def _decisive(self) -> set[str]:
        """Columns that identify a row: keys, name, status. A value that cannot be read there is a fault."""
        made, targets = self._plan, self._plan.targets
        keys = [column.name for column in match_columns(targets, made.mapped, made.options)]
        entity, headers = targets.entity, targets.headers
        return {
            ID,
            EXTERNAL_ID,
            CURRENCY_FIELD,
            *keys,
            *entity.display_fields,
            *headers.decisive,
            *headers.one_way,
        }

    def decides(self, column: Column) -> bool:
        """Whether a cell of this column that cannot be read refuses its row."""
        if column.required or column.unique or column.name in self._deciding:
            return True
        return not column.custom and isinstance(column.field_type, field_types.Email | field_types.Money)

    def _grouped(self, sample: Chunk) -> list[Source]:
        grouped: dict[tuple[str, str], Source] = {}
        for item in self._plan.mapped:
            if item.target is None:
                continue
            key = (item.target.column.name if item.target.column else item.target.name, item.target.part)
            source = grouped.get(key)
            if source is None:
                source = grouped[key] = Source(item.target, [], [], None)
            source.positions.append(item.position)
            source.headers.append(item.header)
        for source in grouped.values():
            source.reader = self._reader(source, sample)
            source.decides = source.target.linked is None and (
                source.column is None or self.decides(source.column)
            )
        return sorted(grouped.values(), key=_turn)

    def _reader(self, source: Source, sample: Chunk) -> CellReader | None:
        column = source.column
        if column is None or source.target.is_reference:
            return None
        cells = [cell for p in source.positions for cell in sample.column(p) if cell.strip()]
        column = replace(column, field_type=column.field_type.in_region(self._plan.phone_region))
        return CellReader(column, self._format(column, source.headers[0], cells))

    def further_addresses(self) -> dict[type, CellReader]:
        """What reads the fields that take further addresses, by the type of their items."""
        found: dict[type, CellReader] = {}
        for column in self._plan.targets.columns.values():
            if column.writable and isinstance(column.field_type, field_types.TextList):
                located = replace(column, field_type=column.field_type.in_region(self._plan.phone_region))
                found.setdefault(type(column.field_type.child), CellReader(located, ColumnFormat()))
        return found

    def _format(self, column: Column, header: str, cells: Sequence[str]) -> ColumnFormat:
        asked = self.words.get(column.name, {})
        said = {trimmed(word).casefold(): value for word, value in asked.items()}
        if isinstance(column.field_type, field_types.Date | field_types.DateTime):
            serials = self._plan.table.shape.format == "xlsx"
            dates = replace(self._dates(header, cells), serials=serials)
            return ColumnFormat(dates=dates, zone=self._plan.zone, words=said)
        if isinstance(column.field_type, field_types.Integer | field_types.Float | field_types.Money):
            return ColumnFormat(decimal=self._decimal(header, cells), words=said)
        words = {**self._plan.targets.headers.values.get(column.name, {}), **folded(asked)}
        since = column.name in self._plan.targets.headers.one_way
        return ColumnFormat(words=words or None, since=since)

    def _dates(self, header: str, cells: Sequence[str]) -> formats.DateFormat:
        if self._plan.options.date_format:
            return formats.check_format(self._plan.options.date_format)
        found = formats.date_format_of(cells)
        if found.mixed:
            message = _('In "%(header)s" some dates begin with the day and others with the month.') % {
                "header": header
            }
            self.notes.append({"code": MIXED_DATES, "message": f"{message} Send date_format to say."})
        elif formats.ambiguous(cells):
            message = _('Day and month of "%(header)s" could be swapped; read as %(order)s.') % {
                "header": header,
                "order": found.order,
            }
            self.notes.append({"code": "ambiguous_dates", "message": f"{message} Send date_format to say."})
        return found

    def _decimal(self, header: str, cells: Sequence[str]) -> str:
        if self._plan.options.decimal_separator:
            return self._plan.options.decimal_separator
        found = formats.decimal_mark(cells)
        if found is not None:
            return found
        # Semicolons stand between cells where commas stand in numbers.
        mark = "," if self._plan.table.shape.delimiter == ";" else "."
        doubtful = next((cell.strip() for cell in cells if "," in cell or "." in cell), "")
        if doubtful:
            message = _('"%(header)s": %(doubtful)s is read as %(plain_number)s.') % {
                "header": header,
                "doubtful": doubtful[:20],
                "plain_number": formats.plain_number(doubtful[:20], mark),
            }
            self.notes.append({"code": "ambiguous_numbers", "message": f"{message} Send decimal_separator."})
        return mark


def _turn(source: Source) -> int:
    """Countries come before phone numbers, currencies before amounts; whole names come last, after columns of
    their own, and so do references, whose text may take the place of a name that is not given."""
    if source.column is None:
        return 3
    if source.target.is_reference:
        return 2
    return 0 if source.target.name in (COUNTRY_FIELD, CURRENCY_FIELD) else 1


def folded(table: Mapping[str, str]) -> dict[str, str]:
    """Words as they are looked up; `*` stands for all that are not listed."""
    return {"*" if word == "*" else normalised(word): value for word, value in table.items()}
