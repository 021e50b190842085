"""A disk that is full: writing is refused with an answer that says so, nothing is half written, and it goes
on once there is space."""

import errno
import os
import secrets
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connection

from backend.development.embedded import placement
from backend.development.embedded.services import DEFAULT_SERVICE_USER
from core.changes.models import Change
from core.transfer.models import ImportJob
from core.transfer.tests.uploads import upload
from lead_management.models import Lead

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(os.geteuid() != 0, reason="root alone may make a small file system"),
]
LEADS = "/api/v1/leads/"
FILLER = "filler"


@contextmanager
def small_disk(folder, megabytes):
    """A file system of its own that holds so much."""
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m"]
    made = subprocess.run(["/bin/mount", *options, "tmpfs", folder], check=False)
    if made.returncode:
        pytest.skip("a small file system cannot be made here")
    try:
        yield folder
    finally:
        subprocess.run(["/bin/umount", "--lazy", folder], check=True)


def fill(folder):
    """Leave no byte."""
    with suppress_full(), (folder / FILLER).open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


@contextmanager
def suppress_full():
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


def sql(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def small_table(tmp_path_factory):
    """The disk that the leads are on, whose server runs as somebody else."""
    identity = placement.service_identity(DEFAULT_SERVICE_USER)
    folder = Path("/tmp") / f"crm-full-disk-{os.getpid()}"  # noqa: S108  (the server has to get there)
    folder.mkdir()
    try:
        with small_disk(folder, 16):
            inside = folder / "space"
            inside.mkdir()
            os.chown(inside, identity.uid, identity.gid)
            sql(f"CREATE TABLESPACE small LOCATION '{inside}'")
            sql("ALTER TABLE lead_management_lead SET TABLESPACE small")
            try:
                yield folder
            finally:
                (folder / FILLER).unlink(missing_ok=True)
                sql("ALTER TABLE lead_management_lead SET TABLESPACE pg_default")
                sql("DROP TABLESPACE small")
    finally:
        folder.rmdir()


def test_a_full_disk_of_the_database_refuses_writes_whole_and_serves_reads(small_table, admin):
    assert admin.post(LEADS, {"first_name": "Ada"}).status_code == 201
    fill(small_table)
    refused = taken = 0
    while not refused and taken < 5_000:
        # What is left of the table's last page is used up first.
        body = [{"first_name": f"Lead {n}", "notes": secrets.token_hex(1_000)} for n in range(50)]
        answer = admin.post(f"{LEADS}bulk_create/", {"items": body, "mode": "atomic"})
        refused = answer.status_code >= 400
        taken += 0 if refused else 50
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert answer.json()["type"] == "/problems/unavailable"
    assert (Lead.objects.count(), Change.objects.filter(entity="lead").count()) == (taken + 1, taken + 1)
    assert admin.get(LEADS).json()["count"] == taken + 1
    (small_table / FILLER).unlink()
    assert admin.post(f"{LEADS}bulk_create/", {"items": body, "mode": "atomic"}).json()["created"] == 50
    assert Change.objects.filter(entity="lead").count() == Lead.objects.count() == taken + 51


def test_a_full_disk_of_files_refuses_an_upload_and_leaves_no_job(tmp_path, settings, admin):
    settings.STORAGES = settings.STORAGES | {
        "default": settings.STORAGES["default"] | {"OPTIONS": {"location": tmp_path}}
    }
    with small_disk(tmp_path, 1):
        fill(tmp_path)
        answer = upload(admin, "first_name\nAda\n" * 2_000)
        assert (answer.status_code, answer.json()["type"]) == (507, "/problems/disk-full")
        assert ImportJob.objects.count() == 0
        (tmp_path / FILLER).unlink()
        assert upload(admin, "first_name\nAda\n").json()["created"] == 1
