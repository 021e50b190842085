"""Exports made in the background: written to the storage, fetched by their user, gone after a day."""

import logging
import tempfile
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from core import jobs
from core.conf import conf, reading_database
from core.entities import Entity, entities
from core.entities.locks import TRANSFER_JOB, try_lock
from core.errors import ConflictError, DomainError
from core.second_connection import SecondConnection, second_connection
from core.transfer.exporting import export_of, stream
from core.transfer.jobs import TICK_EVERY, CancelledError
from core.transfer.models import ExportJob
from core.transfer.withheld import hidden_words

log = logging.getLogger(__name__)
RUN_JOB = "core.tasks.run_export"
Status = ExportJob.Status
MAX_ATTEMPTS = 3
CANCELLED = gettext_noop("The export was cancelled; nothing of it was kept.")
ENDED = ["status", "message", "rows", "size", "stored_as", "expires_at", "hidden", "finished_at"]

_TAKE = """
UPDATE core_exportjob SET status = 'running', attempt = attempt + 1, started_at = coalesce(started_at, now())
WHERE id = %s AND status IN ('pending', 'running') RETURNING id
"""
_TICK = "UPDATE core_exportjob SET rows = %s WHERE id = %s RETURNING cancel_requested"


def begin(entity: Entity, params: dict[str, Any], user: Any) -> ExportJob:
    """A stored job, enqueued. Raises InvalidError where the parameters are wrong."""
    export = export_of(entity, params, user)
    name = f"{entity.plural}_{timezone.now():%Y%m%d_%H%M%S}.{export.format}"
    job = ExportJob.objects.create(
        user=user, entity=entity.name, format=export.format, params=params, file_name=name
    )
    jobs.enqueue(RUN_JOB, job.pk)
    return job


def run_job(job_id: int) -> str:
    """Run one export to its end; returns its status, "" where another has it. May be called twice."""
    with second_connection() as connection, transaction.atomic():
        if not try_lock(TRANSFER_JOB, f"export {job_id}"):
            return ""
        taken = connection.rows(_TAKE, [job_id])
        if not taken:
            return ""
        job = ExportJob.objects.select_related("user").get(pk=job_id)
        try:
            _refuse(job)
            with transaction.atomic():
                _write(job, _Ticker(connection, job))
                _must_be_wanted(job)
        except CancelledError as error:
            _drop(job, Status.CANCELLED, error.message)
        except DomainError as error:
            _drop(job, Status.FAILED, error.message)
        job.finished_at = timezone.now()
        job.save(update_fields=ENDED)
        return job.status


def _refuse(job: ExportJob) -> None:
    if job.cancel_requested:
        raise CancelledError(_("Cancelled before it began."))
    if job.attempt > MAX_ATTEMPTS:
        raise DomainError(_("Given up after %(max_attempts)s attempts.") % {"max_attempts": MAX_ATTEMPTS})


def _write(job: ExportJob, tick: Callable[[int], None]) -> None:
    """The file, complete under its name or not there at all."""
    export = export_of(entities[job.entity], job.params, job.user)
    name = f"exports/{job.pk}"
    job.size, job.hidden = 0, hidden_words(job.user)
    with tempfile.TemporaryFile() as file:
        with closing(stream(export, reading_database(), tick)) as blocks:
            for block in blocks:
                job.size += file.write(block)
        file.seek(0)
        default_storage.delete(name)  # of a worker that died between this and its commit
        job.stored_as = default_storage.save(name, File(file))
    job.status = Status.FINISHED
    job.expires_at = timezone.now() + timedelta(hours=conf.EXPORT_HOURS)


def _must_be_wanted(job: ExportJob) -> None:
    """Raises CancelledError; from here to the commit a request to cancel waits and finds the end."""
    if ExportJob.objects.select_for_update(of=("self",)).get(pk=job.pk).cancel_requested:
        raise CancelledError(_(CANCELLED))


def _drop(job: ExportJob, status: str, message: str) -> None:
    """Nothing is kept of an export that did not come to its end."""
    if job.stored_as:
        default_storage.delete(job.stored_as)
    job.status, job.message = status, message
    job.stored_as, job.expires_at, job.rows, job.size = "", None, 0, 0


class _Ticker:
    """Shows how far an export is, and hears when it is to stop."""

    def __init__(self, connection: SecondConnection, job: ExportJob) -> None:
        self.connection, self.job, self.due = connection, job, timezone.now()

    def __call__(self, rows: int) -> None:
        self.job.rows = rows
        now = timezone.now()
        if now < self.due:
            return
        self.due = now + TICK_EVERY
        found = self.connection.rows(_TICK, [rows, self.job.pk])
        if found and found[0][0]:
            raise CancelledError(_(CANCELLED))


def cancel(job: ExportJob) -> None:
    """Ask for its end, between two batches of rows. Raises ConflictError for one that has ended."""
    rows = ExportJob.objects.filter(pk=job.pk, status__in=(Status.PENDING, Status.RUNNING))
    if not rows.update(cancel_requested=True):
        raise ConflictError(_("This export has ended already."), code="ended")
    jobs.enqueue(RUN_JOB, job.pk)


def fail(job_id: int, error: Any) -> None:
    """After a fault of ours: the job ends failed, with its cause in the log."""
    log.error("export %s failed", job_id, exc_info=error)
    ExportJob.objects.filter(pk=job_id, status__in=(Status.PENDING, Status.RUNNING)).update(
        status=Status.FAILED, message="Something went wrong on our side.", finished_at=timezone.now()
    )


def sweep() -> int:
    """Enqueue open exports again, and delete the files of expired ones. Returns how many were enqueued."""
    expired = ExportJob.objects.filter(expires_at__lt=timezone.now()).exclude(stored_as="")
    for job in expired:
        default_storage.delete(job.stored_as)
        job.stored_as = ""
        job.save(update_fields=["stored_as"])
    waiting = _open()
    for pk in waiting:
        jobs.enqueue(RUN_JOB, pk)
    return len(waiting)


def run_pending(stopped: Callable[[], bool]) -> int:
    """Write the open exports here, one after the other; returns how many nobody else had in hand."""
    return sum(bool(jobs.run_now(RUN_JOB, pk)) for pk in _open() if not stopped())


def _open() -> list[int]:
    return list(
        ExportJob.objects.filter(status__in=(Status.PENDING, Status.RUNNING)).values_list("pk", flat=True)
    )
