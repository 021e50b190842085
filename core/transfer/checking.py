"""Rows of a file checked column by column: values to store, and everything that is wrong with each row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.entities import Column, field_types
from core.entities.cleaning import clean_value
from core.entities.field_types import trimmed
from core.errors import FieldIssue, InvalidError, ValueRefusedError
from core.transfer import notations
from core.transfer.guarding import unguard
from core.transfer.headers import looked_up, normalised
from core.transfer.mapping import Mapped
from core.transfer.names import split_name
from core.transfer.options import Options
from core.transfer.phones import COUNTRY, PhoneRegions
from core.transfer.reading import Chunk
from core.transfer.reading.table import TOO_MANY
from core.transfer.resolving import Resolver
from core.transfer.targets import FULL_NAME, Target, Targets
from core.transfer.values import BLANK, CellReader, Notation, Refusal, says_nothing

Values = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """One thing wrong with one row, as the API tells it."""

    column: str
    field: str
    code: str
    value: str
    message: str

    def shown(self, row: int, line: int) -> dict[str, Any]:
        return {"row": row, "line": line, **vars(self)}


@dataclass
class Checked:
    """A chunk's rows: `given[i]` maps table columns to values the file gives (blank ones are not there),
    `blank[i]` names the columns it leaves blank; rows with faults stand in `faults`."""

    given: list[Values]
    custom: list[Values]
    faults: dict[int, list[Fault]] = field(default_factory=dict)

    def fault(self, row: int, fault: Fault) -> None:
        self.faults.setdefault(row, []).append(fault)


@dataclass
class _Source:
    """One target and the columns of the file that feed it; the first that is not blank counts."""

    target: Target
    positions: list[int]
    headers: list[str]
    reader: CellReader | None

    @property
    def is_list(self) -> bool:
        column = self.target.column
        return column is not None and isinstance(column.field_type, field_types.TextList)


class Checker:
    """Checks chunks of one table with one mapping."""

    def __init__(
        self,
        targets: Targets,
        mapped: Sequence[Mapped],
        options: Options,
        sample: Chunk,
        zone: Any,
        user: Any,
    ) -> None:
        self.targets, self.options = targets, options
        self.resolver = Resolver(user, create_missing=options.create_missing)
        self.headers = [m.header for m in mapped]
        self.notes: list[dict[str, str]] = []
        self._words = by_column(targets, options.value_mapping)
        self.sources = self._sources(mapped, sample, zone)
        has_country = any(s.target.name == COUNTRY for s in self.sources)
        self.regions = PhoneRegions() if has_country else None

    def _sources(self, mapped: Sequence[Mapped], sample: Chunk, zone: Any) -> list[_Source]:
        grouped: dict[tuple[str, str], _Source] = {}
        for item in mapped:
            if item.target is None:
                continue
            key = (item.target.column.name if item.target.column else item.target.name, item.target.part)
            source = grouped.get(key)
            if source is None:
                source = grouped[key] = _Source(item.target, [], [], None)
            source.positions.append(item.position)
            source.headers.append(item.header)
        for source in grouped.values():
            source.reader = self._reader(source, sample, zone)
        return sorted(grouped.values(), key=_turn)

    def _reader(self, source: _Source, sample: Chunk, zone: Any) -> CellReader | None:
        column = source.target.column
        if column is None or source.target.is_reference:
            return None
        cells = [cell for p in source.positions for cell in sample.column(p) if cell.strip()]
        return CellReader(column, self._notation(column, source.headers[0], cells, zone))

    def _notation(self, column: Column, header: str, cells: Sequence[str], zone: Any) -> Notation:
        asked = self._words.get(column.name, {})
        said = {trimmed(word).casefold(): value for word, value in asked.items()}
        if isinstance(column.field_type, field_types.Date | field_types.DateTime):
            return Notation(dates=self._dates(header, cells), zone=zone, words=said)
        if isinstance(column.field_type, field_types.Integer | field_types.Float | field_types.Money):
            return Notation(decimal=self._decimal(header, cells), words=said)
        words = {**self.targets.headers.values.get(column.name, {}), **_folded(asked)}
        return Notation(words=words or None)

    def _dates(self, header: str, cells: Sequence[str]) -> notations.DateNotation:
        if self.options.date_format:
            return notations.check_format(self.options.date_format)
        found = notations.date_notation(cells)
        if notations.ambiguous(cells):
            message = f'Day and month of "{header}" could be swapped; read as {found.order}.'
            self.notes.append({"code": "ambiguous_dates", "message": f"{message} Send date_format to say."})
        return found

    def _decimal(self, header: str, cells: Sequence[str]) -> str:
        if self.options.decimal_separator:
            return self.options.decimal_separator
        found = notations.decimal_mark(cells)
        if found is None and any("," in cell or "." in cell for cell in cells):
            message = f'"{header}": 1,234 is read as one thousand two hundred and thirty-four.'
            self.notes.append({"code": "ambiguous_numbers", "message": f"{message} Send decimal_separator."})
        return found or "."

    @property
    def written(self) -> list[Column]:
        """The columns that this mapping writes."""
        found = [s.target.column for s in self.sources if s.target.column is not None]
        if any(s.target.name == FULL_NAME for s in self.sources):
            found += [self.targets.columns["first_name"], self.targets.columns["last_name"]]
        return list(dict.fromkeys(found))

    def check(self, chunk: Chunk) -> Checked:
        """All rows of a chunk."""
        checked = Checked([{} for _ in chunk.rows], [{} for _ in chunk.rows])
        for row, extra in chunk.ragged.items():
            message = (
                f"{len(self.headers) + len(extra)} cells or more where there are {len(self.headers)} headers."
            )
            checked.fault(row, Fault("", "", TOO_MANY, extra[0][:200], message))
        for source in self.sources:
            if source.is_list and len(source.positions) > 1:
                self._take_list(source, chunk, checked)
            else:
                self._take(source, chunk, checked)
        return checked

    def _take(self, source: _Source, chunk: Chunk, checked: Checked) -> None:
        """One target's values into the rows; a row that has one already keeps it."""
        for place, position in enumerate(source.positions):
            cells = chunk.column(position)
            values = self._read(source, cells, checked.given)
            self._store(source, place, cells, values, checked)

    def _read(self, source: _Source, cells: list[str], rows: Sequence[Values]) -> list[Any]:
        if (
            self.regions
            and source.reader is not None
            and isinstance(source.reader.column.field_type, field_types.Phone)
        ):
            return self.regions.read(source.reader, cells, rows)
        if source.target.is_reference:
            return self._resolved(source.target, cells)
        if source.reader is None:
            return [BLANK if says_nothing(cell) else self._names(cell) for cell in cells]
        return source.reader.read(cells)

    def _resolved(self, target: Target, cells: list[str]) -> list[Any]:
        """References, by what the file calls them or what the user says it means ("*": whom nobody knows)."""
        words = _folded(self._words.get(target.column.name, {}))
        if not words:
            return self.resolver.read(target, cells)
        found = self.resolver.read(target, [looked_up(words, unguard(cell)) or cell for cell in cells])
        if "*" not in words:
            return found
        other = self.resolver.read(target, [words["*"]])[0]
        return [other if value.__class__ is Refusal else value for value in found]

    def _names(self, cell: str) -> dict[str, str] | Refusal:
        """A full name as first and last name, each within its column's bounds."""
        first, last = split_name(cell)
        try:
            return {
                name: clean_value(self.targets.columns[name], text)
                for name, text in (("first_name", first), ("last_name", last))
                if text
            }
        except ValueRefusedError as error:
            return Refusal(error.code, error.message)

    def _store(
        self, source: _Source, place: int, cells: list[str], values: list[Any], checked: Checked
    ) -> None:
        column, header = source.target.column, source.headers[place]
        rows = checked.custom if column is not None and column.custom else checked.given
        path = column.path if column is not None else ""
        for row, value in enumerate(values):
            if value is BLANK or path in rows[row]:
                continue
            if value.__class__ is Refusal:
                fault = Fault(header, source.target.name, value.code, cells[row][:200], value.message)
                checked.fault(row, fault)
            elif column is None:
                _add_names(rows[row], value)
            else:
                rows[row][path] = column.field_type.to_representation(value) if column.custom else value

    def _take_list(self, source: _Source, chunk: Chunk, checked: Checked) -> None:
        """Several columns of the file make up one list."""
        path = source.target.column.path
        for place, position in enumerate(source.positions):
            cells = chunk.column(position)
            for row, value in enumerate(self._read(source, cells, checked.given)):
                if value.__class__ is Refusal:
                    fault = Fault(
                        source.headers[place], source.target.name, value.code, cells[row][:200], value.message
                    )
                    checked.fault(row, fault)
                elif value is not BLANK:
                    kept = checked.given[row].get(path, [])
                    checked.given[row][path] = list(dict.fromkeys([*kept, *value]))


def _turn(source: _Source) -> int:
    """Countries come before phone numbers, which are read by them; whole names come last, after columns of
    their own."""
    if source.target.column is None:
        return 2
    return 0 if source.target.name == COUNTRY else 1


def _add_names(row: Values, parts: Mapping[str, str]) -> None:
    """A full name fills what no column of its own has filled."""
    if "first_name" not in row and "last_name" not in row:
        row.update(parts)


def by_column(targets: Targets, asked: Mapping[str, Mapping[str, str]]) -> dict[str, Mapping[str, str]]:
    """`value_mapping` by the name of the column. Raises InvalidError naming each that is no field."""
    known = {name: targets.by_name.get(name) for name in asked}
    issues = [
        FieldIssue(f"value_mapping.{name[:80]}", "unknown_field", f"Known: {targets.known}.")
        for name, target in known.items()
        if target is None or target.column is None
    ]
    if issues:
        raise InvalidError(issues)
    return {known[name].column.name: table for name, table in asked.items()}


def _folded(table: Mapping[str, str]) -> dict[str, str]:
    return {"*" if word == "*" else normalised(word): value for word, value in table.items()}
