"""What a worker does with a job: claim it, run it in one transaction, store how it ended."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, BinaryIO, cast

from django.core.files.storage import default_storage
from django.db import OperationalError, transaction
from django.utils import timezone

from core import jobs
from core.conf import conf
from core.entities.locks import IMPORTING, TRANSFER_JOB, try_lock
from core.errors import DomainError
from core.jobs import Turn
from core.second_connection import SecondConnection, second_connection
from core.transfer.jobs import (
    RUN_JOB,
    CancelledError,
    ProgressTicker,
    forget_file,
    reopened,
    run_now,
)
from core.transfer.models import ImportIssue, ImportJob
from core.transfer.notify import notify_import_finished
from core.transfer.triggering import start_workflows
from core.transfer.undoing import perform_undo

log = logging.getLogger(__name__)
Status = ImportJob.Status
MAX_ATTEMPTS = 3
# Deadlock and serialization failure: a second try usually passes.
RETRIED = ("40P01", "40001")

_TAKE = """
UPDATE core_importjob SET status = 'running', attempt = attempt + 1, started_at = coalesce(started_at, now())
WHERE id = %s AND status IN ('pending', 'running') RETURNING attempt
"""


def run_job(job_id: int) -> str:
    """Run one import or undo to its end; returns its status, "" where another has it. May be called twice."""
    with second_connection() as connection, transaction.atomic():
        if not try_lock(TRANSFER_JOB, f"import {job_id}"):
            return ""
        job = _taken(connection, job_id)
        if job is None:
            return ""
        try:
            _run(job, ProgressTicker(connection, job))
            notify_import_finished(job)
        except CancelledError as error:
            _close(job, Status.CANCELLED, error.message)
        except DomainError as error:
            _close(job, Status.FAILED, error.message)
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", "") not in RETRIED or job.attempt >= MAX_ATTEMPTS:
                raise
            _close(job, Status.PENDING, "")
        return job.status


def _taken(connection: SecondConnection, job_id: int) -> ImportJob | None:
    """The job as this worker's, or None where there is nothing to do (yet)."""
    job = ImportJob.objects.select_related("user").filter(pk=job_id).first()
    if job is None or not job.is_open:
        return None
    if job.cancel_requested:
        _close(job, Status.CANCELLED, "Cancelled before it began.")
        return None
    if not try_lock(IMPORTING, job.entity):
        return None  # another import of the entity runs; the sweep asks again
    found = connection.rows(_TAKE, [job_id])
    job.attempt = found[0][0] if found else job.attempt
    if job.attempt > MAX_ATTEMPTS:
        _close(job, Status.FAILED, f"Given up after {MAX_ATTEMPTS} attempts; nothing of it was kept.")
        return None
    job.status = Status.RUNNING
    return job


def _run(job: ImportJob, tick: ProgressTicker) -> None:
    """The work itself; whatever it wrote is gone when it raises."""
    with transaction.atomic():
        if job.kind == ImportJob.Kind.UNDO:
            perform_undo(job, tick)
            return
        with default_storage.open(job.stored_as) as stored:
            run_now(job, reopened(job, cast(BinaryIO, stored.file)), tick)
    forget_file(job)
    job.save(update_fields=["stored_as"])


def _close(job: ImportJob, status: str, message: str) -> None:
    """End (or put back) a job whose work was undone."""
    job.status, job.message = status, message
    if status != Status.PENDING:
        job.finished_at, job.success = timezone.now(), False
        forget_file(job)
        for name in ("read", "created", "updated", "unchanged", "skipped", "failed"):
            setattr(job, name, 0)
    job.save()
    if status != Status.PENDING:
        notify_import_finished(job)
        start_workflows(job)


def fail(job_id: int, error: Any) -> None:
    """After a fault of ours: the job ends failed, with its cause in the log."""
    log.error("import %s failed", job_id, exc_info=error)
    with transaction.atomic():
        job = ImportJob.objects.select_for_update().filter(pk=job_id).first()
        if job is not None and job.is_open:
            _close(job, Status.FAILED, "Something went wrong on our side; nothing of it was kept.")


def forget_old(turn: Turn) -> int:
    """Delete the reported rows of imports that can no longer be undone, until the turn is over: they hold
    personal data."""
    limit = timezone.now() - timedelta(days=conf.IMPORT_UNDO_DAYS)
    return jobs.delete(ImportIssue.objects.filter(job__created_at__lt=limit), turn)


def sweep() -> int:
    """Enqueue every open job again: its worker may have died or its message been lost. Returns how many."""
    waiting = _open()
    for pk in waiting:
        jobs.enqueue(RUN_JOB, pk)
    return len(waiting)


def run_pending(stopped: Callable[[], bool]) -> int:
    """Run the open jobs here, one after the other; returns how many nobody else had in hand."""
    return sum(bool(jobs.run_now(RUN_JOB, pk)) for pk in _open() if not stopped())


def _open() -> list[int]:
    return list(
        ImportJob.objects.filter(status__in=(Status.PENDING, Status.RUNNING)).values_list("pk", flat=True)
    )
