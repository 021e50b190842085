"""Imports and exports: what they hold of persons (core.personal_data)."""

from functools import partial

from django.core.files.storage import default_storage
from django.db import transaction

from core.personal_data import (
    PersonalTable,
    personal_tables,
    stored_files,
    unfinished_work,
)
from core.retention import RetainedTable, retained_tables
from core.transfer import drafts
from core.transfer.models import ExportJob, ImportJob, Job

OPEN = (Job.Status.PENDING, Job.Status.RUNNING)

_HASH = {"file_hash": "A digest of the whole file."}
personal_tables.register("core_importjob", PersonalTable("imports", kept=_HASH))
personal_tables.register(
    "core_importissue",
    PersonalTable(
        "rows of imports with errors or warnings",
        linked="EXISTS (SELECT FROM {records} JOIN core_importjob j ON j.entity = p.entity"
        " WHERE j.id = t.job_id AND p.id = t.object_id)",
    ),
)
personal_tables.register("core_exportjob", PersonalTable("exports"))
personal_tables.register("core_savedmapping", PersonalTable("saved mappings of imports"))


def withdraw_exports() -> int:
    """Delete the files of all exports once this is committed, for they hold what was there before; open ones
    are cancelled."""
    ExportJob.objects.filter(status__in=OPEN).update(cancel_requested=True)
    found = list(ExportJob.objects.exclude(stored_as="").values_list("pk", "stored_as"))
    for _, name in found:
        transaction.on_commit(partial(default_storage.delete, name), robust=True)
    return ExportJob.objects.filter(pk__in=[pk for pk, _ in found]).update(stored_as="")


def is_importing() -> bool:
    """Whether an import is open: its file may hold the person, whenever it was sent."""
    return ImportJob.objects.filter(status__in=OPEN).exists()


stored_files.register("exports", withdraw_exports)
# What was uploaded to the wizard before would bring the person back.
stored_files.register("uploads of imports", drafts.withdraw)
unfinished_work.register("imports", is_importing)

_UNDONE = "EXISTS (SELECT FROM core_importjob u WHERE u.undoes_id = t.id)"
retained_tables.register(
    "core_importjob",
    RetainedTable(
        f"t.finished_at < %s AND NOT {_UNDONE}", "JOB_DAYS", children=(("core_importissue", "job_id"),)
    ),
)
retained_tables.register(
    "core_exportjob", RetainedTable("t.finished_at < %s AND t.stored_as = ''", "JOB_DAYS")
)
