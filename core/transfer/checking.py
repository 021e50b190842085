"""Rows of a file checked column by column: values to store, and everything that is wrong or doubtful in each
row."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext

from core.entities import field_types
from core.entities.cleaning import clean_value
from core.entities.field_types import trimmed
from core.entities.money import CURRENCY_FIELD, contradiction, preferred, settled, split_currency
from core.entities.regions import COUNTRY_FIELD, region_at
from core.errors import ValueRefusedError
from core.transfer import formats
from core.transfer.checked import Checked, Fault, LocalCell, join, left_empty
from core.transfer.csv_injection import unescape
from core.transfer.headers import lookup_word, normalised
from core.transfer.import_fields import OPT_IN, ImportField
from core.transfer.linking import add
from core.transfer.names import split_name
from core.transfer.phones import PhoneRegions
from core.transfer.planning import Plan
from core.transfer.reading import Chunk
from core.transfer.reading.table import TOO_MANY
from core.transfer.resolving import Resolver
from core.transfer.several import addresses_in
from core.transfer.sources import Source, Sources, folded
from core.transfer.values import BLANK, CellReader, Refusal, Values, is_blank_text, is_no

OTHER = "other"
# Values of one column that nobody knows here: so many are named in a warning.
NAMED = 20
# Characters of an amount; what is longer is none, and is refused as such.
LONGEST_AMOUNT = 100


class Checker:
    """Checks chunks of one plan's table; `sample` settles how its columns write numbers and dates."""

    def __init__(self, made: Plan, sample: Chunk) -> None:
        self.plan, self.targets, self.options = made, made.targets, made.options
        self.is_lenient = made.options.on_bad_value == "warn"
        self.resolver = Resolver(made.user, create_missing=made.options.create_missing)
        # Linked records are not made by their names.
        self.existing = Resolver(made.user)
        self.headers = [m.header for m in made.mapped]
        # (column of the file, field) → what it names that is nothing here → in how many rows.
        self.unknown: dict[tuple[str, str], Counter[str]] = {}
        self.sources = Sources(made, sample)
        self.notes = self.sources.notes
        self.written = self.sources.written
        names = {source.target.name for source in self.sources.in_order}
        self.regions = PhoneRegions()
        self.has_countries = COUNTRY_FIELD in names
        # Whether rows may be about records whose country says more than the file does.
        self.rereads = made.options.duplicates == "update" and COUNTRY_FIELD in made.targets.columns
        self.has_currency = CURRENCY_FIELD in made.targets.columns
        known = made.targets.headers.opt_out
        self._more_of = self.sources.further_addresses()
        self.opt_out = known if known and known.field in made.targets.columns else None

    def without_refused_values(
        self, given: Values, faults: Sequence[Fault]
    ) -> tuple[Values, list[Fault]] | None:
        """A row's values without those that only describe it and that its rules refused, and with what a rule
        asks for and other systems do not keep; what was left out, as warnings. None where the row is to be
        refused."""
        if not self.is_lenient:
            return None
        values, warnings = dict(given), []
        for fault in faults:
            column = self.targets.columns.get(fault.field)
            fallback = self.targets.headers.fallbacks.get(fault.field)
            if column is not None and fallback and fault.code == "required":
                values[column.path] = fallback
            elif column is not None and column.path in values and not self.sources.decides(column):
                del values[column.path]
                warnings.append(left_empty(fault))
            else:
                return None
        return values, warnings

    # ---- Reading a chunk ----

    def check(self, chunk: Chunk) -> Checked:
        """All rows of a chunk."""
        checked = Checked([{} for _ in chunk.rows], [{} for _ in chunk.rows], self.rereads)
        for row, extra in chunk.ragged.items():
            message = gettext("%(value)s cells or more where there are %(count)s headers.") % {
                "value": len(self.headers) + len(extra),
                "count": len(self.headers),
            }
            checked.fault(row, Fault("", "", TOO_MANY, extra[0][:200], message))
        for row, message in chunk.doubts.items():
            checked.warn(row, Fault("", "", "doubtful_text", "", message))
        for source in self.sources.in_order:
            for place, position in enumerate(source.positions):
                self._take(source, place, chunk.column(position), checked)
        return checked

    def _take(self, source: Source, place: int, cells: list[str], checked: Checked) -> None:
        """One column's values into the rows."""
        if self.opt_out and source.target.name in self.opt_out.columns:
            cells = self._without_opt_outs(cells, checked)
        if source.target.part == OPT_IN:
            cells = [self._opted_out(cell) for cell in cells]
        if self.has_currency and type(source.field_type) is field_types.Money:
            cells = self._without_currencies(source, place, cells, checked)
        if type(source.field_type) in (field_types.Email, field_types.Phone):
            cells = self._first_of_several(source, place, cells, checked)
        self._store(source, place, cells, self._read(source, cells, checked.given), checked)

    def _read(self, source: Source, cells: list[str], rows: Sequence[Values]) -> list[Any]:
        if source.target.is_reference:
            return self._resolved(source.target, cells)
        if source.target.linked is not None:
            return source.target.linked.read(cells, self.existing)
        if source.reader is None:
            return [BLANK if is_blank_text(cell) else self._names(cell) for cell in cells]
        return self._read_cells(source.reader, cells, rows)

    def _read_cells(self, reader: CellReader, cells: list[str], rows: Sequence[Values]) -> list[Any]:
        """Cells by their column's format, phone numbers by the country of their row."""
        if self.has_countries and reader.column.field_type.is_regional:
            return self.regions.read(reader, cells, rows)
        return reader.read(cells)

    def _without_opt_outs(self, cells: list[str], checked: Checked) -> list[str]:
        """The cells of a status without those that say somebody wants no mail, which is kept as such."""
        words, path = self.opt_out.words, self.targets.columns[self.opt_out.field].path  # type: ignore[union-attr]
        found = [bool(cell) and normalised(cell) in words for cell in cells]
        if not any(found):
            return cells
        for row, is_opt_out in enumerate(found):
            if is_opt_out:
                checked.given[row][path] = True
        return ["" if is_opt_out else cell for cell, is_opt_out in zip(cells, found, strict=True)]

    def _opted_out(self, cell: str) -> str:
        """What the answer to "may we write to you?" says about opting out: nothing, or that it is so."""
        return "true" if is_no(cell) or normalised(cell) in self.opt_out.words else ""  # type: ignore[union-attr]

    def _without_currencies(
        self, source: Source, place: int, cells: list[str], checked: Checked
    ) -> list[str]:
        """Amounts without the currency beside them, which becomes the row's or contradicts it."""
        signed = [
            (row, cell)
            for row, cell in enumerate(cells)
            if cell and len(cell) <= LONGEST_AMOUNT and not formats.is_bare_number(cell)
        ]
        if not signed:
            return cells
        bare = list(cells)
        for row, cell in signed:
            text, codes = split_currency(unescape(cell))
            if not codes:
                continue
            bare[row] = text
            named = str(checked.given[row].get(CURRENCY_FIELD) or "")
            if not named:
                checked.signs[row] = codes
            found = settled(codes, named or self._default_currency(codes))
            if found is None:
                message = contradiction(cell, named)
                header = source.headers[place]
                checked.fault(
                    row, Fault(header, source.target.name, "currency_mismatch", cell[:200], message)
                )
            else:
                checked.given[row][CURRENCY_FIELD] = found
        return bare

    def _first_of_several(self, source: Source, place: int, cells: list[str], checked: Checked) -> list[str]:
        """The first address of each cell. Further ones go where the entity keeps more of them."""
        is_email = isinstance(source.field_type, field_types.Email)
        found = {
            row: several
            for row, cell in enumerate(cells)
            if (several := addresses_in(cell, is_email=is_email))
        }
        if not found:
            return cells
        more, first = self._more_of.get(type(source.field_type)), list(cells)
        for row, several in found.items():
            first[row] = several[0]
            if more and self._keep_more(source, place, row, "\n".join(several[1:]), more, checked):
                continue
            message = gettext("Left out: %(names)s; there is room for one.") % {
                "names": ", ".join(several[1:])
            }
            fault = Fault(source.headers[place], source.target.name, "left_out", cells[row][:200], message)
            checked.warn(row, fault)
        return first

    def _keep_more(
        self, source: Source, place: int, row: int, text: str, more: CellReader, checked: Checked
    ) -> bool:
        """Keep further addresses where the entity has room for them; False where they cannot be read."""
        [given] = self._read_cells(more, [text], [checked.given[row]])
        if not isinstance(given, list):
            return False
        join(checked.given[row], more.column.path, given)
        target = self.targets.by_name[more.column.name]
        checked.doubt(row, LocalCell(source.headers[place], target, more, text), given)
        return True

    def _default_currency(self, codes: tuple[str, ...]) -> str:
        """The currency that all new records get, where the sign may stand for it."""
        asked = str(self.options.default_values.get(CURRENCY_FIELD, "")).upper()
        return asked if asked in codes else ""

    def _resolved(self, target: ImportField, cells: list[str]) -> list[Any]:
        """References, by what the file calls them or what the user says it means ("*": whom nobody knows)."""
        words = folded(self.sources.words.get(target.column.name, {}))  # type: ignore[union-attr]
        if not words:
            return self.resolver.read(target, cells)
        found = self.resolver.read(target, [lookup_word(words, unescape(cell)) or cell for cell in cells])
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

    # ---- Values into rows ----

    def _store(
        self, source: Source, place: int, cells: list[str], values: list[Any], checked: Checked
    ) -> None:
        """The values of one of a target's columns; a row that has one already keeps it, lists are joined and
        flags that only rise are raised."""
        column = source.column
        is_custom = column is not None and column.custom
        rows = checked.custom if is_custom else checked.given
        path = source.path
        joins = isinstance(source.field_type, field_types.TextList) and (
            len(source.positions) > 1 or not is_custom
        )
        rises = column is not None and column.name in self.targets.headers.one_way
        is_regional = source.reader is not None and source.reader.column.field_type.is_regional
        for row, value in enumerate(values):
            if value is BLANK:
                continue
            if value.__class__ is Refusal:
                self._refused(source, place, row, cells[row], value, checked)
            elif source.target.linked is not None:
                add(checked.links.setdefault(row, {}), {path: value})
            elif column is None:
                _add_names(rows[row], value)
            elif joins:
                join(rows[row], path, value)
                if is_regional:
                    checked.doubt(row, self._local(source, place, cells[row]), value)
            elif path not in rows[row] or (rises and value):
                rows[row][path] = column.field_type.to_representation(value) if column.custom else value
                if is_regional:
                    checked.doubt(row, self._local(source, place, cells[row]), value)

    def _local(self, source: Source, place: int, cell: str) -> LocalCell:
        assert source.reader is not None  # noqa: S101  what is regional is read by one
        return LocalCell(source.headers[place], source.target, source.reader, cell)

    def for_record(self, row: int, record: Values, checked: Checked) -> Values:
        """A row's values as they are meant for the record it is about, whose country and currency say what
        its file does not: where local phone numbers are from, what the sign of an amount stands for."""
        given, local = checked.given[row], checked.local.get(row)
        kept = preferred(checked.signs.get(row, ()), record.get(CURRENCY_FIELD))
        region = region_at(record.get(COUNTRY_FIELD), "") if local else ""
        if kept:
            given = given | {CURRENCY_FIELD: kept}
        return self.regions.placed(row, region, given, checked) if local and region else given

    def _refused(
        self, source: Source, place: int, row: int, cell: str, refusal: Refusal, checked: Checked
    ) -> None:
        """A cell that cannot be read is a fault of its row; where it only describes, it stays empty with a
        warning."""
        header, column = source.headers[place], source.column
        fault = Fault(header, source.target.name, refusal.code, cell[:200], refusal.message)
        if source.decides or not self.is_lenient:
            checked.fault(row, fault)
            return
        if source.target.is_reference:
            self._unknown_reference(source.target, header, row, cell, fault, checked)
            return
        checked.unreadable.setdefault(row, set()).add(source.path)
        if column is not None and OTHER in getattr(column.field_type, "folded", ()):
            rows = checked.custom if column.custom else checked.given
            rows[row].setdefault(column.path, column.field_type.to_internal_value(OTHER))
        checked.warn(row, left_empty(fault))

    def _unknown_reference(
        self, target: ImportField, header: str, row: int, cell: str, fault: Fault, checked: Checked
    ) -> None:
        """What a row names is nothing here, or several things. A name is kept as text where there is a field
        for it. Owners and ids of other systems are listed once a value, everything else with its row."""
        column = target.column
        assert column is not None  # noqa: S101  a reference has one
        text = trimmed(unescape(cell))
        as_text = self.targets.columns.get(f"{column.name}_name")
        checked.unreadable.setdefault(row, set()).add(column.path)
        if as_text is not None and target.part in ("", "name"):
            limit = getattr(as_text.field_type, "max_length", None)
            checked.given[row].setdefault(as_text.path, text[:limit])
            if fault.code != "does_not_exist":
                checked.warn(row, left_empty(fault))
            return
        if column.field_type.target == "user" or target.part == "external_id":
            self.unknown.setdefault((header, target.name), Counter())[text[:80]] += 1
            return
        checked.warn(row, left_empty(fault))

    def unknown_names(self) -> list[dict[str, Any]]:
        """Warnings that name who and what nobody here is called."""
        found = []
        for (header, name), counted in self.unknown.items():
            named = ", ".join(repr(text) for text, _ in counted.most_common(NAMED))
            more = f" and {len(counted) - NAMED} more" if len(counted) > NAMED else ""
            rows = counted.total()
            says = "is nobody or nothing here" if len(counted) == 1 else "are nobody or nothing here"
            instead = "; the records are yours" if name.partition(".")[0] == "owner" else ""
            found.append(
                {
                    "code": "unknown_reference", "column": header, "field": name, "rows": rows,
                    "message": f'"{header}": {named}{more} {says}; left empty in {rows} rows{instead}.',
                }
            )  # fmt: skip
        return found


def _add_names(row: Values, parts: Mapping[str, str]) -> None:
    """A full name fills what no column of its own has filled."""
    if "first_name" not in row and "last_name" not in row:
        row.update(parts)
