"""Large imports as jobs: one at a time, to the end or not at all, whatever dies meanwhile."""

import io
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.utils import timezone

from core.changes import audit_context
from core.changes.models import Change
from core.entities import entities
from core.entities.locks import IMPORTING, TRANSFER_JOB, _number, try_lock
from core.tasks import forget_import_rows, run_export, run_import, sweep_transfers
from core.transfer import jobs
from core.transfer.models import ExportJob, ImportIssue, ImportJob
from core.transfer.options import parse
from core.transfer.planning import plan
from core.transfer.reading import open_table
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[3]


def rows_of(count, start=0):
    lines = (f"First{i},Last{i},lead{i}@x.example,Acme {i % 50}" for i in range(start, start + count))
    return "first_name,last_name,email,company_name\n" + "\n".join(lines) + "\n"


@pytest.fixture
def begun(admin_user, settings, tmp_path):
    settings.STORAGES = settings.STORAGES | {
        "default": settings.STORAGES["default"] | {"OPTIONS": {"location": tmp_path / "files"}}
    }

    def begin(text, **options):
        file = io.BytesIO(text.encode())
        asked = parse(options)
        made = plan(entities["lead"], open_table(file, asked.reading), asked, admin_user)
        job = jobs.begin(made, file, "leads.csv", admin_user)
        jobs.postpone(job, file)
        return job

    return begin


def test_a_large_file_becomes_a_job_that_a_worker_ends(admin, settings, tmp_path):
    settings.CRM = {"IMPORT_ROWS_AT_ONCE": 10}
    file = SimpleUploadedFile("l.csv", (rows_of(30) + "x,y,broken,z\n").encode())
    response = admin.post("/api/v1/import/leads/", {"file": file}, format="multipart")
    assert response.status_code == 202
    body = response.json()
    assert response["Location"] == body["url"]
    assert (body["status"], body["finished_at"], Lead.objects.count()) == ("pending", None, 0)
    assert run_import(body["id"]) == "finished"
    done = admin.get(body["url"]).json()
    assert (done["status"], done["imported"], done["errors"], done["progress"]) == ("finished", 30, 1, 1.0)
    assert done["error_details"][0]["row"] == 32
    assert Lead.objects.count() == 30


def test_a_job_is_run_once_however_often_the_message_comes(begun):
    job = begun(rows_of(5))
    assert [run_import(job.pk), run_import(job.pk), run_import(10**9)] == ["finished", "", ""]
    assert Lead.objects.count() == 5


def test_a_job_that_another_worker_has_is_left_to_it(begun):
    job = begun(rows_of(5))
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(
                "SELECT pg_advisory_xact_lock(%s, %s)", [TRANSFER_JOB, _number(f"import {job.pk}")]
            )
        assert run_import(job.pk) == ""
        assert Lead.objects.count() == 0
    finally:
        other.rollback()  # closing alone leaves the lock for a moment
        other.close()
    assert sweep_transfers() == 1
    assert run_import(job.pk) == "finished"


def test_a_cancelled_job_keeps_nothing(admin, begun):
    job = begun(rows_of(20_000))
    assert admin.post(f"/api/v1/imports/{job.pk}/cancel/").status_code == 200
    assert run_import(job.pk) == ""
    job.refresh_from_db()
    assert (job.status, job.stored_as, Lead.objects.count()) == ("cancelled", "", 0)
    assert admin.post(f"/api/v1/imports/{job.pk}/cancel/").status_code == 409


def test_a_file_that_turns_out_wrong_halfway_ends_failed_with_nothing_written(begun):
    good = rows_of(6_000)
    job = begun(good, encoding="utf-8")
    job.refresh_from_db()
    path = default_storage.path(job.stored_as)
    Path(path).write_bytes(good.encode() + b"\xff\xfe,broken\n")
    assert run_import(job.pk) == "failed"
    job.refresh_from_db()
    assert "utf-8" in job.message
    assert (Lead.objects.count(), Change.objects.filter(entity="lead").count()) == (0, 0)


def test_a_small_import_waits_its_turn_as_a_job_while_another_runs(admin):
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [IMPORTING, _number("lead")])
        file = SimpleUploadedFile("l.csv", rows_of(2).encode())
        response = admin.post("/api/v1/import/leads/", {"file": file}, format="multipart")
        assert response.status_code == 202
    finally:
        other.rollback()  # closing alone leaves the lock for a moment
        other.close()
    assert run_import(response.json()["id"]) == "finished"


def test_an_export_job_is_fetched_by_its_user_alone_until_it_expires(admin, api, rep, admin_user):
    with audit_context(admin_user):
        LeadFactory(first_name="Ada", owner=admin_user, status="qualified")
        LeadFactory(first_name="Bob", owner=admin_user)
    body = {"resource": "leads", "format": "csv", "params": {"status": "qualified", "fields": "first_name"}}
    response = admin.post("/api/v1/exports/", body)
    assert response.status_code == 202
    url = response.json()["url"]
    assert run_export(response.json()["id"]) == "finished"
    done = admin.get(url).json()
    assert (done["status"], done["rows"]) == ("finished", 1)
    content = b"".join(admin.get(done["download_url"]).streaming_content)
    assert content == b"first_name\nAda\n"
    assert api(rep).get(done["download_url"]).status_code == 404
    ExportJob.objects.update(expires_at="2020-01-01T00:00:00Z")
    assert admin.get(done["download_url"]).status_code == 404
    sweep_transfers()
    assert ExportJob.objects.get().stored_as == ""


def test_rows_kept_with_an_import_are_forgotten_when_it_can_no_longer_be_undone(begun):
    old, new = begun("first_name,email\nA,broken\n"), begun("first_name,email\nB,broken\n")
    for job in (old, new):
        run_import(job.pk)
    ImportJob.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=31))
    assert forget_import_rows() == 1
    assert list(ImportIssue.objects.values_list("job", flat=True)) == [new.pk]


# ---- Killing ----


@pytest.fixture
def process(settings, tmp_path):
    """process("worker", id) → a process on this test's own database."""
    base, _, _ = os.environ["DATABASE_URL"].rpartition("/")
    location = settings.STORAGES["default"]["OPTIONS"]["location"]
    environ = os.environ | {
        "DATABASE_URL": f"{base}/{connection.settings_dict['NAME']}",
        "CRM_DATA_DIR": str(Path(location).parent),
    }
    running = []

    def start(*words):
        command = [sys.executable, "-m", "core.transfer.tests.process", *map(str, words)]
        running.append(subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True))
        return running[-1]

    yield start
    for one in running:
        one.kill()
        one.wait()


def wait_until(probe, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := probe():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")


def progress(job):
    return ImportJob.objects.filter(pk=job.pk).values_list("read", flat=True)[0]


def test_a_killed_worker_leaves_nothing_half_written_and_the_next_one_ends_the_job(begun, process):
    job = begun(rows_of(40_000))
    first = process("worker", job.pk)
    wait_until(lambda: 0 < progress(job) < 40_000)
    first.send_signal(signal.SIGKILL)
    first.wait()
    job.refresh_from_db()
    assert (job.status, Lead.objects.count()) == ("running", 0)
    assert Change.objects.filter(entity="lead").count() == 0
    assert sweep_transfers() == 1
    assert wait_until(lambda: run_import(job.pk)) == "finished"
    job.refresh_from_db()
    assert (job.created, job.attempt, Lead.objects.count()) == (40_000, 2, 40_000)
    assert Change.objects.filter(entity="lead", kind="created", import_id=job.pk).count() == 40_000


def test_a_killed_web_process_leaves_neither_rows_nor_a_job(admin_user, process, tmp_path):
    path = tmp_path / "leads.csv"
    path.write_text(rows_of(40_000), encoding="utf-8")
    web = process("web", path)
    assert web.stdout.readline() == "5000\n"
    web.send_signal(signal.SIGKILL)
    web.wait()
    wait_until(lambda: not _open_transactions())
    assert (Lead.objects.count(), ImportJob.objects.count()) == (0, 0)
    assert Change.objects.filter(entity="lead").count() == 0


def _open_transactions():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
        )
        return cursor.fetchone()[0]


def test_a_lost_database_session_leaves_the_job_to_the_next_worker(begun, process):
    job = begun(rows_of(40_000))
    first = process("worker", job.pk)
    wait_until(lambda: 0 < progress(job) < 40_000)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert first.wait(30) != 0
    assert Lead.objects.count() == 0
    assert wait_until(lambda: run_import(job.pk)) == "finished"
    assert Lead.objects.count() == 40_000


def test_two_imports_of_one_file_at_once_make_each_record_once(begun, process):
    one, two = begun(rows_of(3_000)), begun(rows_of(3_000))
    workers = [process("worker", one.pk), process("worker", two.pk)]
    for worker in workers:
        worker.wait(60)
    for job in (one, two):
        run_import(job.pk)  # the one that found the other at work was left for the sweep
    assert Lead.objects.count() == 3_000
    assert sorted(ImportJob.objects.values_list("created", "skipped")) == [(0, 3_000), (3_000, 0)]


def test_locks_are_free_again_afterwards(begun):
    job = begun(rows_of(1))
    run_import(job.pk)
    with audit_context():
        assert try_lock(TRANSFER_JOB, f"import {job.pk}")
