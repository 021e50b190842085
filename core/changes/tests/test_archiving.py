"""Old months go into files that the chain vouches for, and whatever reads the trail says so."""

import errno
import gzip
import json
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from core.changes import archive_files, archiving, seals
from core.changes.models import AuditSeal, Change, ChangeArchive, Outbox
from core.changes.verifying import verify
from core.jobs import Turn
from core.privacy.tests.working import erased
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db(transaction=True)
MONTHS = [datetime(2025, month, 15, tzinfo=UTC) for month in (11, 11, 12)]


@pytest.fixture
def months(monkeypatch):
    """Two leads of November, one of December, one of today, each sealed by itself; all are dispatched."""
    monkeypatch.setattr(archiving, "PORTION", 1)
    known = 0
    for name, at in zip(("Ada", "Bob", "Cleo", "Dan"), [*MONTHS, None], strict=True):
        LeadFactory(first_name=name, email=f"{name.lower()}@example.com")
        Lead.objects.filter(first_name=name).update(city="Turin")
        if at:
            with connection.cursor() as cursor:
                cursor.execute("SET crm.maintenance = 'on'")
                cursor.execute("UPDATE core_change SET at = %s WHERE id > %s", [at, known])
                cursor.execute("RESET crm.maintenance")
        known = Change.objects.latest("pk").pk
        seals.seal(Turn())
    Outbox.objects.all().delete()


def archive(folder, before="2026-01"):
    out = StringIO()
    call_command("archive_changes", before=before, to=folder, stdout=out)
    return out.getvalue()


def verified(**options):
    out = StringIO()
    call_command("audit_verify", stdout=out, **options)
    return out.getvalue()


def names_of_changes():
    ids = Change.objects.filter(entity="lead").values_list("object_id", flat=True)
    return sorted(Lead.objects.filter(pk__in=ids).values_list("first_name", flat=True))


def test_whole_months_are_moved_to_files_and_the_chain_goes_on(months, tmp_path):
    count, first = Change.objects.count(), Change.objects.earliest("pk").pk
    assert archive(tmp_path, "2025-11").endswith("0 changes were archived.\n")
    archive(tmp_path)
    november, december = ChangeArchive.objects.order_by("last_id")
    assert [f"{one.month:%Y-%m}" for one in (november, december)] == ["2025-11", "2025-12"]
    assert names_of_changes() == ["Dan"]
    moved = november.rows + december.rows
    assert Change.objects.count() == count - moved
    assert (november.first_id, december.first_id) == (1, november.last_id + 1)

    with gzip.open(tmp_path / november.file, "rt") as lines:
        head, seal, change, *_ = map(json.loads, lines)
    assert head["columns"] == list(archive_files.COLUMNS)
    assert (seal["seal"], change[0], change[-1]) == (1, first, MONTHS[0].timestamp() * 1_000_000)

    in_force = AuditSeal.objects.filter(ids__isnull=False).order_by("first_id")
    assert next((s.kind, s.first_id, s.last_id, s.rows) for s in in_force) == (
        "archived",
        1,
        december.last_id,
        0,
    )
    assert "Archived changes were not compared" in verified()
    assert f"{moved} archived changes compared." in verified(archive=tmp_path)
    assert archive(tmp_path) == "0 changes were archived.\n"
    LeadFactory(first_name="Eve")
    seals.seal(Turn())
    assert verify(archives=tmp_path).problems == []


def test_a_file_that_is_gone_or_changed_is_named(months, tmp_path):
    archive(tmp_path)
    november, december = ChangeArchive.objects.order_by("last_id")
    with gzip.open(tmp_path / december.file, "rt") as file:
        line, *rest = file
    with gzip.open(tmp_path / december.file, "wt") as file:
        file.write(line + "".join(rest).replace("created", "updated"))
    (tmp_path / november.file).rename(tmp_path / "elsewhere")
    with pytest.raises(CommandError) as refused:
        verified(archive=tmp_path)
    assert sorted(str(refused.value).splitlines()) == sorted(
        f"no file of {tmp_path.name} is the archive of seal {seal} (SHA-256 {one.sha256})"
        for seal, one in ((1, november), (3, december))
    )


def test_what_ends_it_half_way_loses_nothing(months, tmp_path, monkeypatch):
    count, remove = Change.objects.count(), archiving._remove

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(archive_files.os, "fsync", full)
        with pytest.raises(CommandError, match="No space left"):
            archive(tmp_path)
    assert (Change.objects.count(), list(tmp_path.iterdir())) == (count, [])

    portions = []

    def killed(made, portion):
        portions.append(portion)
        if len(portions) == 2:
            raise KeyboardInterrupt
        remove(made, portion)

    with monkeypatch.context() as patched:
        patched.setattr(archiving, "_remove", killed)
        with pytest.raises(KeyboardInterrupt):
            archive(tmp_path)
    assert names_of_changes() == ["Bob", "Cleo", "Dan"]
    assert verify(archives=tmp_path).problems == []
    archive(tmp_path)
    assert names_of_changes() == ["Dan"]
    assert sum(one.rows for one in ChangeArchive.objects.all()) == count - Change.objects.count()
    assert verify(archives=tmp_path).problems == []


def test_what_is_open_touched_or_erased_meanwhile_stays(months, tmp_path, monkeypatch):
    second = AuditSeal.objects.get(pk=2)
    waiting = Outbox.objects.create(
        entity="lead", xid=3, min_id=second.first_id, max_id=second.first_id, rows=1
    )
    archive(tmp_path)
    assert names_of_changes() == ["Bob", "Cleo", "Dan"], "what is not dispatched stays"
    waiting.delete()

    compare = archiving._compare

    def erased_then(path, filed):
        compare(path, filed)
        erased(emails=["bob@example.com"])

    with monkeypatch.context() as patched:
        patched.setattr(archiving, "_compare", erased_then)
        with pytest.raises(CommandError, match=r"An erasure changed .* meanwhile"):
            archive(tmp_path)
    Outbox.objects.all().delete()
    archive(tmp_path)
    assert verify(archives=tmp_path).problems == []


def test_a_change_that_was_touched_is_not_archived(months, tmp_path):
    with connection.cursor() as cursor:
        cursor.execute("SET crm.maintenance = 'on'")
        cursor.execute("UPDATE core_change SET actor_id = 7 WHERE id = (SELECT min(id) FROM core_change)")
        cursor.execute("RESET crm.maintenance")
    with pytest.raises(CommandError, match="The changes of seal 1 are not as they were sealed"):
        archive(tmp_path)
    assert (ChangeArchive.objects.count(), list(tmp_path.iterdir())) == (0, [])


def test_one_at_a_time_and_only_months_that_are_over(months, tmp_path):
    for wrong, said in (("2999-01", "once it is over"), ("January", "such as 2026-01")):
        with pytest.raises(CommandError, match=said):
            archive(tmp_path, wrong)
    with pytest.raises(CommandError, match="is no folder"):
        archive(tmp_path / "none")


def test_readers_say_what_is_no_more_there(months, tmp_path, admin):
    ada, dan = Lead.objects.get(first_name="Ada"), Lead.objects.get(first_name="Dan")
    Lead.objects.filter(pk=ada.pk).update(created_at=MONTHS[0])
    feed = "/api/v1/changes/"
    cursor = admin.get(feed, {"page_size": 1}).json()["cursor"]
    archive(tmp_path)
    kept = "2026-01-01T00:00:00Z"
    for part in ("history", "timeline"):
        body = admin.get(f"/api/v1/leads/{ada.pk}/{part}/").json()
        assert body["archived_before"] == kept
        assert "archived_before" not in admin.get(f"/api/v1/leads/{dan.pk}/{part}/").json()
    assert admin.get(feed).json()["archived_before"] == kept
    body = admin.get(feed, {"since": "2026-02-01T00:00:00Z"}).json()
    assert "archived_before" not in body
    assert admin.get(feed, {"cursor": body["cursor"]}).status_code == 200
    refused = [
        admin.get(feed, {"cursor": cursor}),
        admin.get("/api/v1/reports/pipeline/", {"entity": "opportunity", "date": "2025-12-30"}),
        admin.get("/api/v1/reports/waterfall/", {"entity": "opportunity", "start": "2025-12-30"}),
    ]
    assert [answer.status_code for answer in refused] == [400, 400, 400]
    assert [issue["code"] for answer in refused for issue in answer.json()["errors"]] == ["archived"] * 3
