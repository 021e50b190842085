"""Exports as jobs: shown while they run, stopped when asked, at most one file each."""

from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection

from core.changes import audit_context
from core.tasks import run_export, sweep_transfers
from core.transfer.models import ExportJob
from core.transfer.tests.test_jobs import process, wait_until  # noqa: F401  (a fixture)
from lead_management.models import Lead

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def files(settings, tmp_path):
    """The folder of the storage, this test's own."""
    options = {"OPTIONS": {"location": tmp_path / "files"}}
    settings.STORAGES = settings.STORAGES | {"default": settings.STORAGES["default"] | options}
    return tmp_path / "files"


@pytest.fixture
def begun(admin, admin_user, files):
    """begun(format) → an export of some leads that is to be made."""

    def begin(format_="csv", count=3):
        with audit_context(admin_user):
            Lead.objects.bulk_create(Lead(first_name=f"A{i}", owner=admin_user) for i in range(count))
        url = admin.post("/api/v1/exports/", {"resource": "leads", "format": format_}).json()["url"]
        return ExportJob.objects.get(), url

    return begin


def stored(folder):
    return sorted(path.name for path in Path(folder).rglob("*") if path.is_file())


@pytest.mark.parametrize("format_", ["csv", "jsonl", "xlsx"])
def test_a_running_export_is_stopped_and_leaves_no_file(admin, begun, files, process, format_):  # noqa: F811
    job, url = begun(format_, 4_500)
    holder = connection.copy()
    try:
        with holder.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("LOCK TABLE lead_management_lead")  # it cannot read its first rows
            worker = process("export", job.pk)
            wait_until(lambda: admin.get(url).json()["status"] == "running")
            assert admin.post(f"{url}cancel/").status_code == 200
    finally:
        holder.close()
    assert worker.communicate(timeout=60)[0] == "cancelled\n"
    ended = admin.get(url).json()
    assert (ended["status"], ended["rows"], ended["size"], ended["download_url"]) == ("cancelled", 0, 0, None)
    assert ended["message"] == "The export was cancelled; nothing of it was kept."
    assert stored(files) == []
    assert admin.post(f"{url}cancel/").status_code == 409
    assert (sweep_transfers(), run_export(job.pk)) == (0, "")


def test_one_that_waits_never_begins(admin, begun, files):
    job, url = begun()
    assert admin.post(f"{url}cancel/").json()["status"] == "pending"
    assert run_export(job.pk) == "cancelled"
    assert (admin.get(url).json()["message"], stored(files)) == ("Cancelled before it began.", [])


def test_one_that_is_done_cannot_be_cancelled_and_keeps_its_file(admin, begun, files):
    job, url = begun()
    assert run_export(job.pk) == "finished"
    assert admin.post(f"{url}cancel/").status_code == 409
    assert (admin.get(url).json()["rows"], stored(files)) == (3, [str(job.pk)])


def test_a_killed_worker_costs_an_attempt_and_leaves_one_file(admin, begun, files, process):  # noqa: F811
    job, url = begun()
    default_storage.save(f"exports/{job.pk}", ContentFile(b"half"))  # of one that died before its commit
    holder = connection.copy()
    try:
        with holder.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("LOCK TABLE lead_management_lead")
            worker = process("export", job.pk)
            wait_until(lambda: admin.get(url).json()["status"] == "running")
            worker.kill()
            worker.wait()
    finally:
        holder.close()
    assert sweep_transfers() == 1
    assert wait_until(lambda: run_export(job.pk)) == "finished"
    job.refresh_from_db()
    assert (job.attempt, job.rows, stored(files)) == (2, 3, [str(job.pk)])


def test_an_export_that_kills_its_workers_is_given_up(admin, begun):
    job, url = begun()
    ExportJob.objects.filter(pk=job.pk).update(status="running", attempt=3)
    assert run_export(job.pk) == "failed"
    assert admin.get(url).json()["message"] == "Given up after 3 attempts."
