"""Taking an import back: what it created is removed, what it changed is as it was, field by field.

Read from the change table, so nothing else has to be remembered. A record that was changed since, or that
others refer to, stays as it is and is named.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import F, ForeignKey
from django.utils import timezone

from core import jobs
from core.access import Permission
from core.activities.models import Activity, Comment
from core.changes import audit_context
from core.changes.expressions import EqualsAny
from core.changes.models import Change
from core.conf import conf
from core.entities import Entity, entities
from core.entities.locks import IMPORTING, lock
from core.errors import ConflictError
from core.transfer.jobs import RUN_JOB, Ticker
from core.transfer.lookups import reached
from core.transfer.matching import prefer_indexes
from core.transfer.models import ImportJob
from core.transfer.report import Entry, Kind, Report

BATCH = 10_000
Status = ImportJob.Status


def undone_by(job: ImportJob) -> ImportJob | None:
    """The last undoing of an import that runs or is done."""
    return job.undoings.exclude(status__in=(Status.FAILED, Status.CANCELLED)).order_by("-id").first()


def begin_undo(job: ImportJob, user: Any, request_id: str = "") -> ImportJob:
    """A stored job that will undo `job`, or what the last undoing of it kept. Raises ConflictError where
    there is nothing to undo (any more)."""
    if job.kind != ImportJob.Kind.IMPORT or job.status != Status.FINISHED:
        raise ConflictError("Only a finished import can be undone.", code="not_finished")
    last = undone_by(job)
    if last is not None and (last.is_open or not last.kept):
        raise ConflictError("This import is undone already.", code="undone")
    if job.created_at < timezone.now() - timedelta(days=conf.IMPORT_UNDO_DAYS):
        raise ConflictError(f"Imports can be undone for {conf.IMPORT_UNDO_DAYS} days.", code="too_late")
    if job.settings["options"]["dry_run"]:
        raise ConflictError("A rehearsal changed nothing.", code="dry_run")
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


def perform_undo(undo: ImportJob, tick: Ticker | None = None) -> None:
    """Undo inside the caller's transaction and end the job."""
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
            Undoing(undo, entity, report, tick).run()
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
    found = [entities[first]] if first in set(names) else []
    return found + [entities[name] for name in sorted(names) if name != first and name in entities]


_LIST = """
CREATE TEMP TABLE crm_undo ON COMMIT DROP AS
SELECT object_id AS id, bool_or(kind = 'created') AS created, max(id) AS last
FROM core_change WHERE import_id = %s AND entity = %s
AND (%s::bigint IS NULL
     OR object_id IN (SELECT object_id FROM core_importissue WHERE job_id = %s AND kind = 'kept'))
GROUP BY object_id;
CREATE INDEX ON crm_undo (id);
ANALYZE crm_undo
"""
_BATCH = "SELECT id, created, last FROM crm_undo WHERE id > %s ORDER BY id LIMIT %s"
# OFFSET 0: one look into the index of a record's changes per record, whatever the statistics say. A later
# import that was taken back of this record left nothing behind.
_CHANGED_SINCE = """
SELECT wanted.id FROM unnest(%s::bigint[], %s::bigint[]) AS wanted (id, last)
WHERE EXISTS (
    SELECT 1 FROM core_change c WHERE c.entity = %s AND c.object_id = wanted.id AND c.id > wanted.last
    AND c.import_id IS DISTINCT FROM %s AND (c.kind <> 'updated' OR c.changes - %s::text[] <> '{}')
    AND NOT EXISTS (
        SELECT 1 FROM core_importjob u JOIN core_change back
        ON back.entity = c.entity AND back.object_id = c.object_id AND back.import_id = u.id
        WHERE c.import_id IN (u.undoes_id, u.id) AND u.kind = 'undo' AND u.status = 'finished'
    )
    OFFSET 0
)
"""
_FIRST_OLD = """
SELECT DISTINCT ON (wanted.id, e.key) wanted.id AS object_id, e.key, e.value -> 0 AS old
FROM unnest(%s::bigint[]) AS wanted (id)
CROSS JOIN LATERAL (
    SELECT c.id, c.changes FROM core_change c
    WHERE c.entity = %s AND c.object_id = wanted.id AND c.import_id = %s AND c.kind = 'updated' OFFSET 0
) c
CROSS JOIN LATERAL jsonb_each(c.changes) e
ORDER BY wanted.id, e.key, c.id
"""


class Undoing:
    """One entity's part of an undo."""

    def __init__(self, undo: ImportJob, entity: Entity, report: Report, tick: Ticker | None) -> None:
        self.undo, self.entity, self.report, self.tick = undo, entity, report, tick
        self.table = connection.ops.quote_name(entity.model._meta.db_table)
        self.fields = {f.column: f for f in entity.model._meta.concrete_fields if not f.generated}
        # What the system derives by itself is no change by anyone.
        writable = {c.path for c in entity.columns if c.writable}
        self.derived = [c for c, f in self.fields.items() if f.attname not in writable]

    def run(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS pg_temp.crm_undo")
            before = self._undone_before()
            cursor.execute(_LIST, [self.undo.undoes_id, self.entity.name, before, before])
        last = 0
        while batch := self._rows(_BATCH, [last, BATCH]):
            last = batch[-1][0]
            self.last = {pk: change for pk, _, change in batch}
            created = {pk for pk, was_created, _ in batch if was_created}
            self._batch(created, set(self.last) - created)
            if self.tick:
                self.tick(self.report)

    def _undone_before(self) -> int | None:
        """The undoing whose kept records are left to undo."""
        done = ImportJob.objects.filter(undoes=self.undo.undoes_id, status=Status.FINISHED)
        return done.exclude(pk=self.undo.pk).order_by("-pk").values_list("pk", flat=True).first()

    def _batch(self, created: set[int], changed: set[int]) -> None:
        there = self._there(created | changed)
        kept = self._changed_since(there)
        self._keep(kept, "changed_since", "Changed since the import.")
        hidden = there - kept - self._reached(there - kept)
        self._keep(hidden, "permission_denied", "No longer yours to change.")
        left = there - kept - hidden
        used = self._referred_to(left & created)
        for pk, by in used.items():
            self._keep({pk}, "referred_to", f"Others refer to it ({by}).")
        self._remove(sorted((left & created) - set(used)))
        self._restore(sorted(left & changed))

    def _there(self, ids: set[int]) -> set[int]:
        """Those that still exist, held fast: what somebody deleted needs no undoing, and what somebody is
        changing just now is looked at afterwards."""
        locking = f"SELECT id FROM {self.table} WHERE id = ANY(%s) ORDER BY id FOR UPDATE"  # noqa: S608
        return {pk for (pk,) in self._rows(locking, [list(ids)])}

    def _changed_since(self, ids: set[int]) -> set[int]:
        wanted = sorted(ids)
        params = [
            wanted, [self.last[pk] for pk in wanted], self.entity.name, self.undo.undoes_id, self.derived,
        ]  # fmt: skip
        return {pk for (pk,) in self._rows(_CHANGED_SINCE, params)}

    def _reached(self, ids: set[int]) -> set[int]:
        return reached(self.entity, self.undo.user, Permission.DELETE, ids)

    def _referred_to(self, ids: set[int]) -> dict[int, str]:
        """Record → what refers to it, over all foreign keys to its table."""
        found: dict[int, str] = {}
        for relation in self.entity.model._meta.related_objects:
            if isinstance(relation.field, ForeignKey):
                name = relation.field.attname
                rows = relation.related_model._base_manager.filter(EqualsAny(F(name), ids))
                word = relation.related_model._meta.verbose_name
                found |= dict.fromkeys(rows.order_by().values_list(name, flat=True).distinct(), str(word))
        for model in (Activity, Comment):
            rows = model.objects.filter(EqualsAny(F("object_id"), ids), entity=self.entity.name).order_by()
            word = str(model._meta.verbose_name)
            found |= dict.fromkeys(rows.values_list("object_id", flat=True).distinct(), word)
        return found

    def _remove(self, ids: Sequence[int]) -> None:
        if ids:
            with connection.cursor() as cursor:
                cursor.execute(f"DELETE FROM {self.table} WHERE id = ANY(%s)", [list(ids)])  # noqa: S608
                self.report.counts["removed"] += cursor.rowcount

    def _restore(self, ids: Sequence[int]) -> None:
        """Put them back, or by halves until those are found that the database refuses."""
        if not ids:
            return
        try:
            with transaction.atomic():
                self._write_back(ids)
        except IntegrityError:
            if len(ids) == 1:
                self._keep(set(ids), "refused", "Something it referred to before is gone.")
                return
            half = len(ids) // 2
            self._restore(ids[:half])
            self._restore(ids[half:])

    def _write_back(self, ids: Sequence[int]) -> None:
        """Every field the import changed gets back the value it had before."""
        params: list[Any] = [ids, self.entity.name, self.undo.undoes_id]
        keys = [k for (k,) in self._rows(f"SELECT DISTINCT key FROM ({_FIRST_OLD}) f", params)]  # noqa: S608
        columns = [connection.ops.quote_name(key) for key in keys if key in self.fields]
        if not columns:
            return
        names, values = ", ".join(columns), ", ".join(f"r.{column}" for column in columns)
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {self.table} t SET ({names}) ="  # noqa: S608
                f" (SELECT {values} FROM jsonb_populate_record(t, o.old) r)"
                f" FROM (SELECT object_id, jsonb_object_agg(key, old) AS old FROM ({_FIRST_OLD}) f"
                f" GROUP BY object_id) o WHERE t.id = o.object_id",
                params,
            )
            self.report.counts["restored"] += cursor.rowcount

    def _keep(self, ids: set[int], code: str, message: str) -> None:
        for pk in sorted(ids):
            self.report.add(Entry(Kind.KEPT, errors=[{"code": code, "message": message}], object_id=pk))
        self.report.counts["kept"] += len(ids)

    @staticmethod
    def _rows(statement: str, params: list[Any]) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(statement, params)
            return cursor.fetchall()
