"""Imports and exports from a terminal."""

import csv
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from core.second_connection import second_connection
from core.transfer.commands import import_csv
from core.transfer.models import ImportJob
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def leads_csv(tmp_path):
    path = tmp_path / "leads.csv"
    path.write_text("First Name;E-Mail\nA;a@x.example\nB;broken\n", encoding="utf-8")
    return path


def run(name, *words):
    out, err = StringIO(), StringIO()
    call_command(name, *words, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_a_file_is_imported_as_a_user(leads_csv, admin_user):
    out, err = run("import_csv", "leads", str(leads_csv), "--user", admin_user.username)
    assert "2 read: 1 created, 0 updated, 0 unchanged, 0 skipped, 1 failed" in out
    assert "row 3: email: Enter a valid e-mail address." in out
    assert err.startswith("2 rows in ")
    assert Lead.objects.get().owner == admin_user


def test_a_preview_writes_nothing(leads_csv, admin_user):
    out, _ = run("import_csv", "leads", str(leads_csv), "--user", admin_user.username, "--preview")
    assert "First Name" in out
    assert "first_name" in out
    assert Lead.objects.count() == 0


def test_all_or_nothing_ends_with_an_error(leads_csv, admin_user):
    with pytest.raises(CommandError, match="nothing was imported"):
        run(
            "import_csv", "leads", str(leads_csv), "--user", admin_user.username, "--set", "skip_errors=false"
        )
    assert Lead.objects.count() == 0


def test_unknown_users_and_resources_are_named(leads_csv, admin_user):
    with pytest.raises(CommandError, match="nobody"):
        run("import_csv", "leads", str(leads_csv), "--user", "nobody")
    with pytest.raises(CommandError, match="companies, contacts, leads"):
        run("export_csv", "users", "-", "--user", admin_user.username)


def test_an_export_holds_what_its_user_sees(leads_csv, admin_user, rep, tmp_path):
    run("import_csv", "leads", str(leads_csv), "--user", admin_user.email)
    LeadFactory(first_name="Mine", owner=rep)
    path = tmp_path / "out.csv"
    run("export_csv", "leads", str(path), "--user", rep.email, "--set", "fields=first_name,email")
    assert list(csv.reader(path.open(encoding="utf-8"))) == [["first_name", "email"], ["Mine", ""]]


@pytest.mark.django_db(transaction=True)
def test_no_worker_sees_the_job_of_an_import_that_runs_here(leads_csv, admin_user, monkeypatch):
    seen = []

    def look(bar, rows):
        with second_connection() as beside:
            seen.extend(beside.rows("SELECT status FROM core_importjob", []))

    monkeypatch.setattr(import_csv.ProgressBar, "show", look)
    run("import_csv", "leads", str(leads_csv), "--user", admin_user.username)
    assert seen == []
    assert ImportJob.objects.get().status == "finished"


def test_a_file_that_cannot_be_imported_leaves_no_job(tmp_path, admin_user):
    path = tmp_path / "odd.csv"
    path.write_text("zork,bork\n1,2\n")
    with pytest.raises(CommandError, match="zork"):
        run("import_csv", "leads", str(path), "--user", admin_user.username)
    assert not ImportJob.objects.exists()


def test_who_may_not_add_may_not_import(leads_csv, make_user):
    viewer = make_user("viewer")
    with pytest.raises(CommandError, match="may not add leads"):
        run("import_csv", "leads", str(leads_csv), "--user", viewer.username)
