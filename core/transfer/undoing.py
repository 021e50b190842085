"""Undoing an import: what it created is removed, what it changed is as it was, field by field.

Read from the change table, so nothing else has to be remembered. A record that was changed since, or that
others refer to, stays as it is and is named.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import F, ForeignKey
from django.utils import timezone
from django.utils.translation import gettext, ngettext, override

from core import jobs
from core.access import Permission
from core.activities.models import Activity, Comment, FurtherRecord
from core.changes import audit_context
from core.changes.expressions import EqualsAny
from core.changes.models import Change
from core.conf import conf
from core.entities import Entity, entities
from core.entities.locks import IMPORTING, lock
from core.errors import ConflictError
from core.labels import MACHINE_LANGUAGE
from core.transfer import undo_queries
from core.transfer.jobs import RUN_JOB, ProgressTicker
from core.transfer.linked_columns import linked_columns_of
from core.transfer.lookups import permitted_ids
from core.transfer.matching import prefer_indexes
from core.transfer.models import ImportJob
from core.transfer.report import Kind, Report, ReportRow
from core.transfer.undo_links import LinkUndo

BATCH = 10_000
Status = ImportJob.Status


def undone_by(job: ImportJob) -> ImportJob | None:
    """The last undoing of an import that runs or is done."""
    return job.undoings.exclude(status__in=(Status.FAILED, Status.CANCELLED)).order_by("-id").first()


def begin_undo(job: ImportJob, user: Any, request_id: str = "") -> ImportJob:
    """A stored job that will undo `job`, or what the last undoing of it kept. Raises ConflictError where
    there is nothing to undo (any more)."""
    if job.kind != ImportJob.Kind.IMPORT or job.status != Status.FINISHED:
        raise ConflictError(gettext("Only a finished import can be undone."), code="not_finished")
    last = undone_by(job)
    if last is not None and (last.is_open or not last.kept):
        raise ConflictError(gettext("This import is undone already."), code="undone")
    if job.created_at < timezone.now() - timedelta(days=conf.IMPORT_UNDO_DAYS):
        raise ConflictError(
            ngettext(
                "Imports can be undone for %(n)s day.",
                "Imports can be undone for %(n)s days.",
                conf.IMPORT_UNDO_DAYS,
            )
            % {"n": conf.IMPORT_UNDO_DAYS},
            code="too_late",
        )
    if job.settings["options"]["dry_run"]:
        raise ConflictError(gettext("A rehearsal changed nothing."), code="dry_run")
    return ImportJob.objects.create(
        user=user,
        entity=job.entity,
        kind=ImportJob.Kind.UNDO,
        undoes=job,
        file_name=job.file_name,
        rows=job.created + job.updated if last is None else last.kept,
        rows_estimated=False,
        request_id=request_id,
    )


def postpone(undo: ImportJob) -> None:
    """Let a worker do it."""
    jobs.enqueue(RUN_JOB, undo.pk)


def perform_undo(undo: ImportJob, tick: ProgressTicker | None = None) -> None:
    """Undo inside the caller's transaction and end the job."""
    with override(MACHINE_LANGUAGE):  # its report is stored
        _perform(undo, tick)


def _perform(undo: ImportJob, tick: ProgressTicker | None) -> None:
    undo.started_at = undo.started_at or timezone.now()
    report = Report()
    with audit_context(
        undo.user,
        source=Change.Source.IMPORT,
        import_id=undo.pk,
        request_id=undo.request_id,
        automation=False,
    ):
        lock(IMPORTING, undo.entity)
        prefer_indexes()
        for entity in _touched(undo):
            EntityUndo(undo, entity, report, tick).run()
    report.store(undo)
    undo.removed, undo.restored = report.counts["removed"], report.counts["restored"]
    undo.kept, undo.read = report.counts["kept"], sum(report.counts.values())
    undo.status, undo.success, undo.finished_at = Status.FINISHED, True, timezone.now()
    undo.save()


def _touched(undo: ImportJob) -> list[Entity]:
    """The entities the undone import wrote to: its own, then those it made for references."""
    first = undo.entity
    names = (
        Change.objects.filter(import_id=undo.undoes_id).order_by().values_list("entity", flat=True).distinct()
    )
    found = [entities[first]] if {first, *_parts_of(entities[first])} & set(names) else []
    return found + [entities[name] for name in sorted(names) if name != first and name in entities]


def _parts_of(entity: Entity) -> list[str]:
    """The names of the changes of an entity's links."""
    return [column.table.part for column in linked_columns_of(entity)]


class EntityUndo:
    """One entity's part of an undo."""

    def __init__(self, undo: ImportJob, entity: Entity, report: Report, tick: ProgressTicker | None) -> None:
        self.undo, self.entity, self.report, self.tick = undo, entity, report, tick
        self.import_id: int = undo.undoes_id  # type: ignore[assignment]  # an undo always has one
        self.table = connection.ops.quote_name(entity.model._meta.db_table)
        self.fields = {f.column: f for f in entity.model._meta.concrete_fields if not f.generated}
        # What the system derives by itself is no change by anyone.
        writable = {c.path for c in entity.columns if c.writable}
        self.derived = [c for c, f in self.fields.items() if f.attname not in writable]
        self.links = [LinkUndo(column.table, self.import_id) for column in linked_columns_of(entity)]

    def run(self) -> None:
        parts = _parts_of(self.entity)
        undo_queries.list_records(self.import_id, self.entity.name, parts, self._undone_before())
        last = 0
        while batch := undo_queries.next_batch(last, BATCH):
            last = batch[-1][0]
            self.last = {pk: change for pk, _, change in batch}
            created = {pk for pk, was_created, _ in batch if was_created}
            self._batch(created, set(self.last) - created)
            if self.tick:
                self.tick(self.report)

    def _undone_before(self) -> int | None:
        """The undoing whose kept records are left to undo."""
        done = ImportJob.objects.filter(undoes=self.import_id, status=Status.FINISHED)
        return done.exclude(pk=self.undo.pk).order_by("-pk").values_list("pk", flat=True).first()

    def _batch(self, created: set[int], changed: set[int]) -> None:
        there = self._locked(created | changed)
        kept = self._changed_since(there)
        self._report_kept(kept, "changed_since", gettext("Changed since the import."))
        hidden = there - kept - self._permitted(there - kept)
        self._report_kept(hidden, "permission_denied", gettext("No longer yours to change."))
        left = there - kept - hidden
        used = self._referred_to(left & created)
        for pk, by in used.items():
            self._report_kept({pk}, "referred_to", gettext("Others refer to it (%(by)s).") % {"by": by})
        self._remove(sorted((left & created) - set(used)))
        self._restore(sorted(left & changed))

    def _locked(self, ids: set[int]) -> set[int]:
        """Those that still exist, locked: what was deleted needs no undoing, and what another transaction
        changes just now is read after it."""
        return undo_queries.lock(self.table, ids)

    def _changed_since(self, ids: set[int]) -> set[int]:
        last = {pk: self.last[pk] for pk in sorted(ids)}
        found = undo_queries.changed_since(last, self.entity.name, self.import_id, self.derived)
        return found.union(*(links.changed_since(last) for links in self.links))

    def _permitted(self, ids: set[int]) -> set[int]:
        return permitted_ids(self.entity, self.undo.user, Permission.DELETE, ids)

    def _referred_to(self, ids: set[int]) -> dict[int, str]:
        """Record → what refers to it, over all foreign keys to its table; without the links that the import
        made itself."""
        found: dict[int, str] = {}
        made = {links.table.model: links.made(ids) for links in self.links}
        for relation in self.entity.model._meta.related_objects:
            if isinstance(relation.field, ForeignKey):
                name = relation.field.attname
                rows = relation.related_model._base_manager.filter(EqualsAny(F(name), ids))
                if own := made.get(relation.related_model):
                    rows = rows.exclude(EqualsAny(F("pk"), own))
                word = relation.related_model._meta.verbose_name
                found |= dict.fromkeys(rows.order_by().values_list(name, flat=True).distinct(), str(word))
        attached: tuple[Any, ...] = (Activity, Comment, *FurtherRecord.__subclasses__())
        for model in attached:
            rows = model.objects.filter(EqualsAny(F("object_id"), ids), entity=self.entity.name).order_by()
            word = str(model._meta.verbose_name)
            found |= dict.fromkeys(rows.values_list("object_id", flat=True).distinct(), word)
        return found

    def _remove(self, ids: Sequence[int]) -> None:
        if ids:
            for links in self.links:
                links.restore(ids)
            self.report.counts["removed"] += undo_queries.delete(self.table, ids)

    def _restore(self, ids: Sequence[int]) -> None:
        """Restore them, or by halves until those are found that the database refuses."""
        if not ids:
            return
        try:
            with transaction.atomic():
                self._write_back(ids)
        except IntegrityError:
            if len(ids) == 1:
                self._report_kept(set(ids), "refused", gettext("Something it referred to before is gone."))
                return
            half = len(ids) // 2
            self._restore(ids[:half])
            self._restore(ids[half:])

    def _write_back(self, ids: Sequence[int]) -> None:
        """Every field the import changed gets back the value it had before, and every record its links."""
        where = self.entity.name, self.import_id
        restored = {pk for links in self.links for pk in links.restore(ids)}
        keys = [key for key in undo_queries.changed_columns(ids, *where) if key in self.fields]
        if keys:
            restored |= undo_queries.restore(self.table, keys, ids, *where)
        self.report.counts["restored"] += len(restored)

    def _report_kept(self, ids: set[int], code: str, message: str) -> None:
        for pk in sorted(ids):
            self.report.add(ReportRow(Kind.KEPT, errors=[{"code": code, "message": message}], object_id=pk))
        self.report.counts["kept"] += len(ids)
