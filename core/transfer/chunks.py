"""One chunk of an import: which record each row is about, what becomes of it, and the write."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import DataError, IntegrityError, connection, transaction
from django.db.models import F
from django.utils.translation import gettext

from core.access import Permission
from core.entities import Column
from core.entities.comparisons import ComparedRecords
from core.entities.duplicate_rules import CODE, Finding, OnCreate, findings
from core.entities.models import DuplicateRule
from core.entities.writing import NOT_THEIRS
from core.errors import InvalidError
from core.models.uniqueness import TAKEN, violated_fields
from core.transfer.checked import Checked, Fault, left_empty
from core.transfer.checking import Checker
from core.transfer.composing import Composer, differs
from core.transfer.import_fields import ID
from core.transfer.linked_columns import LinkedColumn, Links
from core.transfer.linking import AskedLinks, Linking, add
from core.transfer.lookups import permitted_ids, rows_with_keys
from core.transfer.matching import Key, Matcher, may_be_same, rows_with_custom_values
from core.transfer.planning import Plan
from core.transfer.reading import Chunk
from core.transfer.report import CAME_IN, Kind, Report, ReportRow
from core.transfer.values import Values
from core.transfer.writing import Pending, Writer

OUT_OF_REACH = "This would put the record out of your own reach."
# Why records that were just written are refused: field, code and message.
Refused = dict[Pending, tuple[str, str, str]]


@dataclass(frozen=True)
class ImportRun:
    """What all chunks of an import share."""

    plan: Plan
    checker: Checker
    composer: Composer
    matcher: Matcher
    writer: Writer
    report: Report
    # Columns of the file whose values only one living record may have.
    unique: Sequence[Column]
    # Whether rows are told apart by our own ids: one without its record is no new one.
    by_id: bool
    # Field → the column of the file that feeds it.
    headers: Mapping[str, str]
    # By what new records are compared with those that are there.
    rules: Sequence[DuplicateRule]
    # Those of the entity's linked columns that the file has.
    linked: Sequence[LinkedColumn]
    # What their cells asked for so far.
    asked: AskedLinks = field(default_factory=AskedLinks)


class ChunkRun:
    """One chunk's rows on their way into the table."""

    def __init__(self, parent: ImportRun, chunk: Chunk) -> None:
        self.parent, self.chunk = parent, chunk
        self.options = parent.plan.options
        self.outcomes = ["failed"] * len(chunk)
        self.pending: list[Pending] = []
        self.by_key: dict[Key, list[Pending]] = {}
        self.by_record: dict[int, Pending] = {}

    def run(self) -> None:
        self.checked: Checked = self.parent.checker.check(self.chunk)
        self.linking = Linking(
            self.parent.linked,
            self.parent.plan.user,
            self.checked,
            self.parent.asked,
            clear_blank=self.options.clear_blank,
        )
        self._match()
        for row in range(len(self.chunk)):
            if row not in self.checked.faults:
                self._place(row)
        self._leave_unchanged()
        self._refuse_taken_values()
        self._refuse_giving_away()
        self.linking.leave_unreadable(self.by_record.values())
        self._write([p for p in self.pending if not self._has_failed(p)])
        self._finish()

    # ---- Which record is it? ----

    def _match(self) -> None:
        matcher = self.parent.matcher
        matcher.name_survivors(self.checked.given)
        faulty = self.checked.faults
        self.keys: list[list[Key]] = [
            [] if row in faulty else matcher.keys(given, custom)
            for row, (given, custom) in enumerate(zip(self.checked.given, self.checked.custom, strict=True))
        ]
        self.stored = matcher.find(self.keys)
        for given in self.checked.given:
            given.pop(ID, None)

    def _place(self, row: int) -> None:
        """Decide what becomes of a row that is right in itself."""
        twins = next((twins for key in self.keys[row] if (twins := self._twins(row, key))), [])
        if len(twins) > 1:
            numbers = ", ".join(str(self.chunk.numbers[twin.rows[0]]) for twin in twins[:5])
            self._fault(
                row,
                "several_matches",
                gettext("It may be the same record as each of the rows %(numbers)s.") % {"numbers": numbers},
            )
            return
        if twins:
            self._place_repeated(row, twins[0])
            return
        matches = next((found for key in self.keys[row] if (found := self._matches(row, key))), [])
        if len(matches) > 1:
            self._fault(
                row,
                "several_matches",
                gettext("%(count)s stored records match this row.") % {"count": len(matches)},
                matches,
            )
        elif matches:
            self._place_matched(row, matches[0])
        elif self.parent.by_id and self.keys[row]:
            self._fault(
                row, "does_not_exist", gettext("There is no record with this id that you may change.")
            )
        else:
            self._create(row)

    def _twins(self, row: int, key: Key) -> list[Pending]:
        """Records about to be written that have this key of a row and may be the same."""
        given = self.checked.given[row]
        return [twin for twin in self.by_key.get(key, ()) if may_be_same(given, twin.now)]

    def _matches(self, row: int, key: Key) -> list[Values]:
        """Stored records that have this key of a row and may be the same, as they will be."""
        given, found = self.checked.given[row], []
        for record in self.stored.get(key, ()):
            pending = self.by_record.get(record["id"])
            if may_be_same(given, pending.now if pending else record):
                found.append(record)
        return found

    def _place_repeated(self, row: int, twin: Pending) -> None:
        """A row about the same record as one before it."""
        number = self.chunk.numbers[twin.rows[0]]
        if self.options.duplicates == "update":
            self._merge(row, twin)
        elif self.options.duplicates == "error":
            self._fault(
                row, "duplicate_in_file", gettext("The same record as row %(number)s.") % {"number": number}
            )
        else:
            raised = self.parent.composer.raised(self.checked.given[row], twin.now)
            self._add(twin, dict.fromkeys(raised, True), {})
            self._skip(
                row, "duplicate_in_file", gettext("The same record as row %(number)s.") % {"number": number}
            )

    def _place_matched(self, row: int, record: dict[str, Any]) -> None:
        """A row about a stored record."""
        pk = record["id"]
        if self.options.duplicates == "update" and pk in self.by_record:
            # Met before by another key: one record is written once.
            self._merge(row, self.by_record[pk])
        elif self.options.duplicates == "update":
            self._update(row, record, self.linking.of(row, is_new=False))
        elif self.options.duplicates == "error":
            self._fault(
                row, "duplicate", gettext("Record %(pk)s has these values already.") % {"pk": pk}, [record]
            )
        elif raised := self.parent.composer.raised(self.checked.given[row], record):
            # Whoever opts out is taken at their word, even where records that exist are left alone.
            self.checked.given[row], self.checked.custom[row] = dict.fromkeys(raised, True), {}
            self._update(row, record, {})
        else:
            self._skip(row, "duplicate", gettext("Record %(pk)s has these values already.") % {"pk": pk}, pk)

    # ---- What becomes of it ----

    def _create(self, row: int) -> None:
        compose = self.parent.composer.new
        try:
            values: Values | None = compose(self.checked.given[row], self.checked.custom[row])
        except InvalidError as error:
            values = self._without_refused_values(row, error, compose)
        if values is not None:
            self._add_pending(row, Pending(values, None, [row], links=self.linking.of(row, is_new=True)))
            self.outcomes[row] = "created"

    def _update(self, row: int, before: dict[str, Any], links: dict[str, Links]) -> None:
        changed = self._changed(row, before)
        if changed is None:
            return
        pending = Pending(changed, before, [row], before["id"], links)
        self._add_pending(row, pending, write=bool(changed or links))
        self.outcomes[row] = "updated" if changed else "unchanged"

    def _merge(self, row: int, twin: Pending) -> None:
        """Another row for a record that is being written: one write, both rows counted."""
        changed = self._changed(row, self.parent.composer.empty_record | twin.now)
        if changed is None:
            return
        self._add(twin, changed, self.linking.of(row, is_new=twin.before is None))
        twin.rows.append(row)
        self._index_keys(row, twin)
        self.outcomes[row] = "updated" if changed else "unchanged"

    def _changed(self, row: int, before: dict[str, Any]) -> dict[str, Any] | None:
        unreadable = self.checked.unreadable.get(row, ())

        def compose(given: Values, custom: Values) -> Values:
            return self.parent.composer.changed(given, custom, before, unreadable)

        self.checked.given[row] = self.parent.checker.for_record(row, before, self.checked)
        try:
            return compose(self.checked.given[row], self.checked.custom[row])
        except InvalidError as error:
            return self._without_refused_values(row, error, compose)

    def _without_refused_values(
        self, row: int, error: InvalidError, compose: Callable[[Values, Values], Values]
    ) -> Values | None:
        """The values of a row that the rules refused, without what only describes it and with what other
        systems never asked for; None, and its faults, where that is not enough."""
        faults = self._faults_of(row, error)
        left = self.parent.checker.without_refused_values(self.checked.given[row], faults)
        if left is None:
            self._refuse(row, faults)
            return None
        values, warnings = left
        try:
            found = compose(values, self.checked.custom[row])
        except InvalidError as again:
            self._refuse(row, self._faults_of(row, again))
            return None
        for warning in warnings:
            self.checked.warn(row, warning)
        return found

    def _add(self, pending: Pending, changes: Values, links: Mapping[str, Links]) -> None:
        """More to write for a record; one that was met before, unchanged until now, is written after all."""
        if (changes or links) and not (pending.values or pending.links):
            self.pending.append(pending)
        pending.values |= changes
        add(pending.links, links)

    def _add_pending(self, row: int, pending: Pending, *, write: bool = True) -> None:
        if write:
            self.pending.append(pending)
        if pending.pk:
            self.by_record[pending.pk] = pending
        self._index_keys(row, pending)

    def _index_keys(self, row: int, pending: Pending) -> None:
        """Rows that have one of its keys are about the same record from now on."""
        for key in self.keys[row]:
            known = self.by_key.setdefault(key, [])
            if pending not in known:
                known.append(pending)

    # ---- Writing ----

    def _leave_unchanged(self) -> None:
        """Several rows about one record may end with what is stored already, which is no change."""
        for pending in [p for p in self.pending if p.before is not None and len(p.rows) > 1]:
            before: Values = pending.before or {}
            if not any(differs(before[name], value) for name, value in pending.values.items()):
                pending.values = {}
                for row in pending.rows:
                    self.outcomes[row] = "unchanged"
        self.pending = [p for p in self.pending if p.values or p.links]

    def _refuse_taken_values(self) -> None:
        """Values of unique fields that another record has."""
        for column in self.parent.unique:
            seen: dict[Any, Pending] = {}
            for pending in self.pending:
                values = pending.values.get("custom_fields") or {} if column.custom else pending.values
                value = values.get(column.path)
                if value is None or value == "":
                    continue
                if value in seen:
                    self._fail(pending, column.name, "unique", gettext("An earlier row has this value."))
                else:
                    seen[value] = pending
            for value, pk in self._rows_with_values(column, seen):
                if seen[value].pk != pk:
                    self._fail(seen[value], column.name, "unique", gettext("Another record has this value."))

    def _refuse_giving_away(self) -> None:
        """Owners and assignees of records that are only shared with the importer."""
        plan = self.parent.plan
        if plan.user is None:
            return
        for pending in [p for p in self.pending if p.before is not None]:
            if plan.entity.model.policy.gives_away(plan.user, pending.before, pending.values):
                self._fail(pending, "owner", "permission_denied", gettext(NOT_THEIRS))

    def _rows_with_values(self, column: Column, values: Mapping[Any, Pending]) -> list[tuple[Any, int]]:
        """(value, id) of the living records that have one of these values."""
        rows = self.parent.plan.entity.model.objects.filter(archived_at=None)
        if column.custom or not values:
            return rows_with_custom_values(rows, column, values)
        field = rows.model._meta.get_field(column.name)
        rows = rows.exclude(**{column.path: ""})
        return rows_with_keys(rows, F(column.path), field.rel_db_type(connection), values)

    def _write(self, pendings: list[Pending]) -> None:
        """All of them, or by halves until those the database refuses are found."""
        if not pendings:
            return
        try:
            with transaction.atomic():
                self.parent.writer.create([p for p in pendings if p.before is None])
                self.parent.writer.update([p for p in pendings if p.before is not None and p.values])
                linked, refused = self.linking.write(pendings)
                refused = self._out_of_reach(pendings) or refused or self._refused_by_rules(pendings)
                if refused:
                    raise _RefusedError
        except _RefusedError:
            self.parent.writer.taken_back()
            for pending, (field, code, message) in refused.items():
                self._fail_written(pending, field, code, message)
            self._write([p for p in pendings if not self._has_failed(p)])
        except (IntegrityError, DataError) as error:
            self.parent.writer.taken_back()
            if len(pendings) == 1:
                self._refused(pendings[0], error)
                return
            half = len(pendings) // 2
            self._write(pendings[:half])
            self._write(pendings[half:])
        else:
            self.linking.remember(pendings)
            self._count_linked(linked)

    def _count_linked(self, linked: Iterable[Pending]) -> None:
        """Rows whose links alone are others than they were change their record too."""
        for pending in linked:
            for row in self.linking.asking(pending) if pending.before is not None else ():
                self.outcomes[row] = "updated"

    def _fail_written(self, pending: Pending, field: str, code: str, message: str) -> None:
        """Refuse what was written, or leave its links out where that is enough."""
        if field not in pending.links or not self.parent.checker.is_lenient:
            self._fail(pending, field, code, message)
            return
        del pending.links[field]
        fault = Fault(self.parent.headers.get(field, ""), field, code, "", message)
        self.checked.warn(pending.rows[0], left_empty(fault))

    def _refused(self, pending: Pending, error: Exception) -> None:
        """The database refused a record; a unique constraint is named by its fields, as in the API."""
        model = self.parent.plan.entity.model
        names = violated_fields(model, error) if isinstance(error, IntegrityError) else None
        code, message = ("refused", _reason(error)) if names is None else ("unique", TAKEN)
        for name in names or [""]:
            self._fail(pending, name, code, message)

    def _out_of_reach(self, pendings: list[Pending]) -> Refused:
        """Records the importer would not be able to change once they are written."""
        entity, user = self.parent.plan.entity, self.parent.plan.user
        if user is None:
            return {}
        seen = permitted_ids(entity, user, Permission.CHANGE, [p.pk for p in pendings])
        return {p: ("", "permission_denied", OUT_OF_REACH) for p in pendings if p.pk not in seen}

    def _refused_by_rules(self, pendings: Iterable[Pending]) -> Refused:
        """Those of the records just made that a rule about duplicates refuses, by one statement for all; the
        first of several rows that are the same stays. Where none is refused, the rows get their warnings."""
        created = [p for p in pendings if p.before is None]
        if not self.parent.rules or not created:
            return {}
        plan = self.parent.plan
        asked = ComparedRecords([p.values for p in created], [p.pk for p in created])
        found = findings(plan.entity, self.parent.rules, asked, plan.user)
        written = {(plan.entity.name, p.pk): p for p in created}
        refused: Refused = {}
        for pending, some in zip(created, found, strict=True):
            for finding in some:
                message = self._refusal(finding, written, refused)
                if message and pending not in refused:
                    refused[pending] = finding.field, CODE, message
        if not refused:
            self._warn_of_duplicates(created, found)
        return refused

    def _refusal(
        self, finding: Finding, written: Mapping[tuple[str, int], Pending], refused: Collection[Pending]
    ) -> str:
        """Why a rule refuses a row; "" where it does not, or only for a row that is refused itself."""
        if finding.rule.on_create != OnCreate.REFUSE:
            return ""
        stored = finding.among(finding.matches - written.keys())
        if stored.matches:
            return stored.message
        twins = [written[match] for match in finding.matches if written[match] not in refused]
        numbers = sorted(self.chunk.numbers[twin.rows[0]] for twin in twins)
        return f"{finding.rule.name}: possible duplicate of row {numbers[0]}." if numbers else ""

    def _warn_of_duplicates(self, created: Sequence[Pending], found: Sequence[Sequence[Finding]]) -> None:
        for pending, some in zip(created, found, strict=True):
            for finding in some:
                if finding.rule.on_create == OnCreate.WARN:
                    header = self.parent.headers.get(finding.field, "")
                    fault = Fault(header, finding.field, CODE, "", finding.message)
                    self.checked.warn(pending.rows[0], fault)

    # ---- Reporting ----

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

    def _faults_of(self, row: int, error: InvalidError) -> list[Fault]:
        """What the rules said of a row, with the cells it is about."""
        cells = self.chunk.rows[row]
        places = {m.header: m.position for m in self.parent.plan.mapped}
        found = []
        for issue in error.issues:
            header = self.parent.headers.get(issue.field, "")
            value = cells[places[header]][:200] if header in places else ""
            found.append(Fault(header, issue.field, issue.code, value, issue.message))
        return found

    def _refuse(self, row: int, faults: Sequence[Fault]) -> None:
        for fault in faults:
            self.checked.fault(row, fault)

    def _skip(self, row: int, code: str, message: str, pk: int | None = None) -> None:
        self.outcomes[row] = "skipped"
        name = self.keys[row][0][0] if self.keys[row] else ""
        fault = Fault(self.parent.headers.get(name, ""), name, code, str(self.keys[row][0][1])[:200], message)
        self._entry(row, Kind.SKIPPED, [fault], pk)

    def _entry(self, row: int, kind: str, faults: list[Fault], pk: int | None = None) -> None:
        number, line = self.chunk.numbers[row], self.chunk.lines[row]
        errors = [fault.shown(number, line) for fault in faults]
        cells = self.chunk.rows[row] + self.chunk.ragged.get(row, [])
        self.parent.report.add(ReportRow(kind, number, line, cells, errors, pk))

    def _finish(self) -> None:
        for row in sorted(self.checked.faults):
            self._entry(row, Kind.ERROR, self.checked.faults[row])
        for row in sorted(self.checked.warnings):
            if self.outcomes[row] in CAME_IN:
                self._entry(row, Kind.WARNING, self.checked.warnings[row])
                self.parent.report.warn(self.chunk.numbers[row], self.checked.warnings[row])
        self.parent.report.count(self.outcomes)


class _RefusedError(Exception):
    """Some of the rows just written are refused: the importer would lose them, a rule about duplicates or the
    number of their links is against it."""


def _reason(error: Exception) -> str:
    """Why the database refused a row, without its statement."""
    diagnosis = getattr(error.__cause__, "diag", None)
    name = getattr(diagnosis, "constraint_name", None)
    message = getattr(diagnosis, "message_primary", None) or str(error).split("\n")[0]
    return f"The database refused this row ({name or message})."
