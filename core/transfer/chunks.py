"""One chunk of an import: which record each row is about, what becomes of it, and the write."""

from typing import TYPE_CHECKING, Any

from django.db import DataError, IntegrityError, transaction

from core.access import Permission
from core.errors import InvalidError
from core.transfer.checking import Checked, Fault
from core.transfer.lookups import reached
from core.transfer.matching import Key, holders
from core.transfer.reading import Chunk
from core.transfer.report import Entry, Kind
from core.transfer.targets import ID
from core.transfer.writing import Pending

if TYPE_CHECKING:
    from core.transfer.importing import Import


class ChunkRun:
    """One chunk's rows on their way into the table."""

    def __init__(self, parent: "Import", chunk: Chunk) -> None:
        self.parent, self.chunk = parent, chunk
        self.options = parent.plan.options
        self.outcomes = ["failed"] * len(chunk)
        self.pending: list[Pending] = []
        self.by_key: dict[Key, Pending] = {}
        self.by_record: dict[int, Pending] = {}

    def run(self) -> None:
        self.checked: Checked = self.parent.checker.check(self.chunk)
        self._match()
        for row in range(len(self.chunk)):
            if row not in self.checked.faults:
                self._place(row)
        self._refuse_taken_values()
        self._write([p for p in self.pending if not self._has_failed(p)])
        self._finish()

    # ---- Which record is it? ----

    def _match(self) -> None:
        matcher = self.parent.matcher
        good = self.checked.faults
        self.keys: list[list[Key]] = [
            [] if row in good else matcher.keys(given, custom)
            for row, (given, custom) in enumerate(zip(self.checked.given, self.checked.custom, strict=True))
        ]
        self.stored = matcher.find(self.keys)
        for given in self.checked.given:
            given.pop(ID, None)

    def _place(self, row: int) -> None:
        """Decide what becomes of a row that is right in itself."""
        twin = next((self.by_key[key] for key in self.keys[row] if key in self.by_key), None)
        if twin is not None:
            self._again(row, twin)
            return
        matches = next((found for key in self.keys[row] if (found := self.stored.get(key))), [])
        if len(matches) > 1:
            self._fault(row, "several_matches", f"{len(matches)} stored records match this row.", matches)
        elif matches:
            self._met(row, matches[0])
        elif self.parent.by_id and self.keys[row]:
            self._fault(row, "does_not_exist", "There is no record with this id that you may change.")
        else:
            self._create(row)

    def _again(self, row: int, twin: Pending) -> None:
        """A row about the same record as one before it."""
        number = self.chunk.numbers[twin.rows[0]]
        if self.options.duplicates == "update":
            self._merge(row, twin)
        elif self.options.duplicates == "error":
            self._fault(row, "duplicate_in_file", f"The same record as row {number}.")
        else:
            self._skip(row, "duplicate_in_file", f"The same record as row {number}.")

    def _met(self, row: int, record: dict[str, Any]) -> None:
        """A row about a stored record."""
        pk = record["id"]
        if self.options.duplicates == "update" and pk in self.by_record:
            # Met before by another key: one record is written once.
            self._merge(row, self.by_record[pk])
        elif self.options.duplicates == "update":
            self._update(row, record)
        elif self.options.duplicates == "error":
            self._fault(row, "duplicate", f"Record {pk} has these values already.", [record])
        else:
            self._skip(row, "duplicate", f"Record {pk} has these values already.", pk)

    # ---- What becomes of it ----

    def _create(self, row: int) -> None:
        try:
            values = self.parent.composer.new(self.checked.given[row], self.checked.custom[row])
        except InvalidError as error:
            self._refused(row, error)
            return
        self._remember(row, Pending(values, None, [row]))
        self.outcomes[row] = "created"

    def _update(self, row: int, before: dict[str, Any]) -> None:
        changed = self._changed(row, before)
        if changed is None:
            return
        self._remember(row, Pending(changed, before, [row], before["id"]), write=bool(changed))
        self.outcomes[row] = "updated" if changed else "unchanged"

    def _merge(self, row: int, twin: Pending) -> None:
        """Another row for a record that is being written: one write, both rows counted."""
        changed = self._changed(row, self.parent.composer.empty_record | twin.now)
        if changed is None:
            return
        if changed and not twin.values:
            self.pending.append(twin)
        twin.values |= changed
        twin.rows.append(row)
        for key in self.keys[row]:
            self.by_key.setdefault(key, twin)
        self.outcomes[row] = "updated" if changed else "unchanged"

    def _changed(self, row: int, before: dict[str, Any]) -> dict[str, Any] | None:
        given, custom = self.checked.given[row], self.checked.custom[row]
        try:
            return self.parent.composer.changed(given, custom, before)
        except InvalidError as error:
            self._refused(row, error)
            return None

    def _remember(self, row: int, pending: Pending, *, write: bool = True) -> None:
        if write:
            self.pending.append(pending)
        if pending.pk:
            self.by_record[pending.pk] = pending
        for key in self.keys[row]:
            self.by_key[key] = pending

    # ---- Writing ----

    def _refuse_taken_values(self) -> None:
        """Values of unique custom fields that another record has."""
        entity = self.parent.plan.entity
        for column in self.parent.unique:
            seen: dict[Any, Pending] = {}
            for pending in self.pending:
                value = (pending.values.get("custom_fields") or {}).get(column.path)
                if value is None:
                    continue
                if value in seen:
                    self._fail(pending, column.name, "unique", "An earlier row has this value.")
                else:
                    seen[value] = pending
            rows = entity.model.objects.filter(archived_at=None)
            for value, pk in holders(rows, column, seen):
                if seen[value].pk != pk:
                    self._fail(seen[value], column.name, "unique", "Another record has this value.")

    def _write(self, pendings: list[Pending]) -> None:
        """All of them, or by halves until those the database refuses are found."""
        if not pendings:
            return
        try:
            with transaction.atomic():
                self.parent.writer.create([p for p in pendings if p.before is None])
                self.parent.writer.update([p for p in pendings if p.before is not None])
                lost = self._out_of_reach(pendings)
                if lost:
                    raise _OutOfReachError
        except _OutOfReachError:
            self.parent.writer.taken_back()
            for pending in lost:
                message = "This would put the record out of your own reach."
                self._fail(pending, "", "permission_denied", message)
            self._write([p for p in pendings if p not in lost])
        except (IntegrityError, DataError) as error:
            self.parent.writer.taken_back()
            if len(pendings) == 1:
                self._fail(pendings[0], "", "refused", _in_words(error))
                return
            half = len(pendings) // 2
            self._write(pendings[:half])
            self._write(pendings[half:])

    def _out_of_reach(self, pendings: list[Pending]) -> list[Pending]:
        """Records the importer would not be able to change once they are written."""
        entity, user = self.parent.plan.entity, self.parent.plan.user
        if user is None:
            return []
        seen = reached(entity, user, Permission.CHANGE, [p.pk for p in pendings])
        return [p for p in pendings if p.pk not in seen]

    # ---- Telling ----

    def _has_failed(self, pending: Pending) -> bool:
        return pending.rows[0] in self.checked.faults

    def _fail(self, pending: Pending, field: str, code: str, message: str) -> None:
        for row in pending.rows:
            header = self.parent.headers.get(field, "")
            self.checked.fault(row, Fault(header, field, code, "", message))
            self.outcomes[row] = "failed"

    def _fault(self, row: int, code: str, message: str, records: list[dict[str, Any]] | None = None) -> None:
        ids = ", ".join(str(record["id"]) for record in (records or [])[:5])
        keys = "; ".join(str(value) for _, value in self.keys[row])[:200]
        text = f"{message} Ids: {ids}." if ids and len(records or []) > 1 else message
        name = self.keys[row][0][0] if self.keys[row] else ""
        self.checked.fault(row, Fault(self.parent.headers.get(name, ""), name, code, keys, text))

    def _refused(self, row: int, error: InvalidError) -> None:
        cells = self.chunk.rows[row]
        places = {m.header: m.position for m in self.parent.plan.mapped}
        for issue in error.issues:
            header = self.parent.headers.get(issue.field, "")
            value = cells[places[header]][:200] if header in places else ""
            self.checked.fault(row, Fault(header, issue.field, issue.code, value, issue.message))

    def _skip(self, row: int, code: str, message: str, pk: int | None = None) -> None:
        self.outcomes[row] = "skipped"
        name = self.keys[row][0][0] if self.keys[row] else ""
        fault = Fault(self.parent.headers.get(name, ""), name, code, str(self.keys[row][0][1])[:200], message)
        self._entry(row, Kind.SKIPPED, [fault], pk)

    def _entry(self, row: int, kind: str, faults: list[Fault], pk: int | None = None) -> None:
        number, line = self.chunk.numbers[row], self.chunk.lines[row]
        errors = [fault.shown(number, line) for fault in faults]
        cells = self.chunk.rows[row] + self.chunk.ragged.get(row, [])
        self.parent.report.add(Entry(kind, number, line, cells, errors, pk))

    def _finish(self) -> None:
        for row in sorted(self.checked.faults):
            self._entry(row, Kind.ERROR, self.checked.faults[row])
        self.parent.report.count(self.outcomes)


class _OutOfReachError(Exception):
    """Some of the rows just written are not the importer's to change."""


def _in_words(error: Exception) -> str:
    """What the database objected to, without its statement."""
    diagnosis = getattr(error.__cause__, "diag", None)
    name = getattr(diagnosis, "constraint_name", None)
    message = getattr(diagnosis, "message_primary", None) or str(error).split("\n")[0]
    return f"The database refused this row ({name or message})."
