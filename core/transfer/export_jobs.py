"""Exports made in the background: written to the storage, fetched by their user, gone after a day."""

import logging
import tempfile
from datetime import timedelta
from typing import Any

from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from core import jobs
from core.conf import conf, reading_database
from core.entities import Entity, entities
from core.entities.locks import TRANSFER_JOB, try_lock
from core.errors import DomainError
from core.models import ExportJob
from core.transfer.exporting import export_of, stream

log = logging.getLogger(__name__)
RUN_JOB = "core.tasks.run_export"
Status = ExportJob.Status
MAX_ATTEMPTS = 3


def begin(entity: Entity, params: dict[str, str], user: Any) -> ExportJob:
    """A stored job, rung for. Raises InvalidError where the parameters are wrong."""
    export = export_of(entity, params, user)
    name = f"{entity.plural}_{timezone.now():%Y%m%d_%H%M%S}.{export.format}"
    job = ExportJob.objects.create(
        user=user, entity=entity.name, format=export.format, params=params, file_name=name
    )
    jobs.enqueue(RUN_JOB, job.pk)
    return job


def work_off(job_id: int) -> str:
    """Run one export to its end; returns its status, "" where another has it. May be called twice."""
    with transaction.atomic():
        if not try_lock(TRANSFER_JOB, f"export {job_id}"):
            return ""
        job = ExportJob.objects.select_related("user").filter(pk=job_id).first()
        if job is None or not job.is_open:
            return ""
        try:
            if job.cancel_requested:
                job.status = Status.CANCELLED
            else:
                _write(job)
        except DomainError as error:
            job.status, job.message = Status.FAILED, error.message
        job.finished_at = timezone.now()
        job.save()
        return job.status


def _write(job: ExportJob) -> None:
    """The file, complete under its name or not there at all."""
    job.started_at, job.attempt = timezone.now(), job.attempt + 1
    export = export_of(entities[job.entity], job.params, job.user)
    with tempfile.TemporaryFile() as file:
        for block in stream(export, reading_database(), lambda rows: setattr(job, "rows", rows)):
            job.size += file.write(block)
        file.seek(0)
        job.stored_as = default_storage.save(f"exports/{job.pk}", File(file))
    job.status = Status.FINISHED
    job.expires_at = timezone.now() + timedelta(hours=conf.EXPORT_HOURS)


def fail(job_id: int, error: Any) -> None:
    """After a fault of ours: the job ends failed, with its cause in the log."""
    log.error("export %s failed", job_id, exc_info=error)
    ExportJob.objects.filter(pk=job_id, status__in=(Status.PENDING, Status.RUNNING)).update(
        status=Status.FAILED, message="Something went wrong on our side.", finished_at=timezone.now()
    )


def sweep() -> int:
    """Ring for open exports, and delete the files of those that expired. Returns how many were rung for."""
    expired = ExportJob.objects.filter(expires_at__lt=timezone.now()).exclude(stored_as="")
    for job in expired:
        default_storage.delete(job.stored_as)
        job.stored_as = ""
        job.save(update_fields=["stored_as"])
    waiting = list(ExportJob.objects.filter(status__in=(Status.PENDING, Status.RUNNING)).values_list("pk"))
    for (pk,) in waiting:
        jobs.enqueue(RUN_JOB, pk)
    return len(waiting)
