"""Imports as jobs: begun, run at once or by a worker, ended with their figures.

The data, the figures and the faults commit together. A worker holds an advisory lock on the job until then,
so no two work on one; whatever kills it takes its transaction and the lock along, and the next takes over.
"""

import hashlib
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, BinaryIO

from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from core import jobs
from core.changes import audit_context
from core.changes.models import Change
from core.entities import entities
from core.entities.locks import IMPORTING, lock
from core.errors import DomainError
from core.labels import MACHINE_LANGUAGE
from core.second_connection import SecondConnection
from core.transfer.importing import Import
from core.transfer.models import ImportJob
from core.transfer.options import Options, parse
from core.transfer.planning import Plan, plan, read_only_warnings, resolved
from core.transfer.reading import open_table
from core.transfer.report import CAME_IN, OUTCOMES, Report, messages_of
from core.transfer.triggering import start_workflows

Status = ImportJob.Status
RUN_JOB = "core.tasks.run_import"


class CancelledError(DomainError):
    """The user asked for an end."""

    code = "cancelled"


class _NothingKeptError(Exception):
    """A rehearsal, or all or nothing with a fault: what was written goes back."""


def begin(made: Plan, file: BinaryIO, name: str, user: Any, request_id: str = "") -> ImportJob:
    """A stored job for this plan, with a warning where the same file came before."""
    with override(MACHINE_LANGUAGE):  # its warnings are stored
        return _begun(made, file, name, user, request_id)


def _begun(made: Plan, file: BinaryIO, name: str, user: Any, request_id: str) -> ImportJob:
    shape, options = made.table.shape, resolved(made)
    digest, size = _digest(file)
    return ImportJob.objects.create(
        user=user,
        entity=made.entity.name,
        file_name=name[:255],
        file_hash=digest,
        file_size=size,
        settings={"options": options.as_json(), "columns": columns_of(made)},
        headers=shape.headers,
        warnings=[
            *_seen_before(made.entity.name, digest, user),
            *shape.notes(),
            *read_only_warnings(made),
        ],
        rows=shape.rows,
        rows_estimated=False,
        request_id=request_id,
    )


def columns_of(made: Plan) -> list[dict[str, Any]]:
    """Each column of the file: where it goes, and why."""
    return [
        {"header": m.header, "field": m.target.name if m.target else None, "reason": m.reason}
        for m in made.mapped
    ]


def _seen_before(entity: str, digest: str, user: Any) -> list[dict[str, Any]]:
    before = ImportJob.objects.visible_to(user).filter(
        entity=entity, file_hash=digest, kind=ImportJob.Kind.IMPORT, status=Status.FINISHED, success=True
    )
    undone = ImportJob.objects.filter(undoes=OuterRef("pk"), status=Status.FINISHED, success=True)
    before = before.exclude(settings__options__dry_run=True).exclude(Exists(undone))
    last = before.order_by("-id").first()
    if last is None:
        return []
    message = _("The same file was imported before, as import %(pk)s on %(created_at)s.") % {
        "pk": last.pk,
        "created_at": f"{last.created_at:%Y-%m-%d %H:%M}",
    }
    return [{"code": "same_file", "message": message, "import": last.pk}]


def _digest(file: BinaryIO) -> tuple[str, int]:
    file.seek(0)
    digest, size = hashlib.sha256(), 0
    while block := file.read(1 << 20):
        digest.update(block)
        size += len(block)
    file.seek(0)
    return digest.hexdigest(), size


def postpone(job: ImportJob, file: BinaryIO) -> None:
    """Store the file and enqueue the job for a worker."""
    file.seek(0)
    job.stored_as = default_storage.save(f"imports/{job.pk}", File(file))
    job.save(update_fields=["stored_as"])
    jobs.enqueue(RUN_JOB, job.pk)


def run_now(job: ImportJob, made: Plan, tick: Any = lambda report: None) -> None:
    """Run an import inside the caller's transaction and end its job. Raises DomainError if it cannot run."""
    with override(MACHINE_LANGUAGE):  # its report is stored
        _run_now(job, made, tick)


def _run_now(job: ImportJob, made: Plan, tick: Any) -> None:
    options = made.options
    job.started_at = job.started_at or timezone.now()
    try:
        with audit_context(
            job.user,
            source=Change.Source.IMPORT,
            import_id=job.pk,
            request_id=job.request_id,
            automation=options.automation == "run",
        ):
            if not options.dry_run:
                lock(IMPORTING, job.entity)
            run = Import(made, tick)
            run.run()
            if options.dry_run or (run.report.counts["failed"] and not options.skip_errors):
                raise _NothingKeptError
    except _NothingKeptError:
        _as_nothing_happened(run.report, options)
    end(job, run.report, options, run.notes())


def _as_nothing_happened(report: Report, options: Options) -> None:
    """All or nothing: rows that were right were left out as well. A rehearsal keeps its figures."""
    if options.dry_run:
        return
    for name in CAME_IN:
        report.counts["skipped"] += report.counts.pop(name, 0)


def end(job: ImportJob, report: Report, options: Options, notes: Iterable[dict[str, Any]] = ()) -> None:
    """Store figures and faults with the job, and start the workflows of its end."""
    report.store(job)
    for name in OUTCOMES:
        setattr(job, name, report.counts[name])
    job.read = job.rows = report.read
    job.rows_estimated = False
    job.warned = report.counts["warned"]
    came_in = sum(report.counts[name] for name in (*CAME_IN, "skipped")) if options.skip_errors else 0
    job.success = not job.failed or came_in > 0
    if not job.success:
        job.message = _first_reason(report)
    job.status, job.finished_at = Status.FINISHED, timezone.now()
    job.warnings = [*job.warnings, *notes]
    job.save()
    start_workflows(job)


def _first_reason(report: Report) -> str:
    """Why no row came in, in words: what was wrong with the first."""
    first = report.first_faulty_row()
    if first is None:
        return ""
    reasons = "; ".join(messages_of(first.errors))
    return _("Nothing was imported. Row %(row)s: %(reasons)s") % {"row": first.row, "reasons": reasons}


def reopened(job: ImportJob, file: BinaryIO) -> Plan:
    """The plan of a job whose file is open again, by exactly the settings it was begun with."""
    options = parse(job.settings["options"])
    return plan(entities[job.entity], open_table(file, options.reading), options, job.user)


_TICK = """
UPDATE core_importjob SET read = %s, created = %s, updated = %s, unchanged = %s, skipped = %s, failed = %s
WHERE id = %s RETURNING cancel_requested
"""
TICK_EVERY = timedelta(seconds=1)


class ProgressTicker:
    """Stores the progress of a job once a second, and stops a job that was cancelled."""

    def __init__(self, connection: SecondConnection, job: ImportJob) -> None:
        self.connection, self.job = connection, job
        self.due = timezone.now()

    def __call__(self, report: Report) -> None:
        now = timezone.now()
        if now < self.due:
            return
        self.due = now + TICK_EVERY
        figures = report.figures()
        values = [figures[name] for name in ("read", *OUTCOMES)]
        found = self.connection.rows(_TICK, [*values, self.job.pk])
        if found and found[0][0]:
            raise CancelledError(_("The import was cancelled; nothing of it was kept."))


def forget_file(job: ImportJob) -> None:
    """Delete the stored file once the job's end is committed."""
    name = job.stored_as
    if name:
        job.stored_as = ""
        transaction.on_commit(lambda: default_storage.delete(name), robust=True)
