"""Taking an import back: what is undone, what is kept, and who may."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.utils import timezone

from contacts.models import Contact
from core.accounts.models import User
from core.accounts.tests.factories import TeamFactory
from core.activities.tests.factories import ActivityFactory, CommentFactory
from core.changes import audit_context
from core.changes.models import Change
from core.transfer.models import ImportJob
from core.transfer.tests.uploads import upload
from lead_management.models import Lead

pytestmark = pytest.mark.django_db


def undo(client, body):
    return client.post(f"{body['url']}undo/")


def test_undo_removes_what_was_created_and_restores_what_was_changed(admin):
    upload(admin, "first_name,email,city\nOld,o@x.example,Rome\n")
    body = upload(
        admin, "first_name,email,city\nNew,o@x.example,Bern\nB,b@x.example,\n", duplicates="update"
    ).json()
    assert (body["created"], body["updated"]) == (1, 1)
    undone = undo(admin, body).json()
    assert (undone["removed"], undone["restored"], undone["kept"]) == (1, 1, 0)
    assert list(Lead.objects.values_list("first_name", "city")) == [("Old", "Rome")]
    assert undo(admin, body).status_code == 409


def test_undo_keeps_and_names_what_was_changed_since(admin):
    body = upload(admin, "first_name,email\nA,a@x.example\nB,b@x.example\n").json()
    kept = Lead.objects.get(first_name="A")
    admin.patch(f"/api/v1/leads/{kept.pk}/", {"job_title": "Chief"})
    undone = undo(admin, body).json()
    assert (undone["removed"], undone["kept"]) == (1, 1)
    assert undone["kept_records"] == [
        {"id": kept.pk, "reason": "changed_since", "message": "Changed since the import."}
    ]
    assert list(Lead.objects.values_list("pk", flat=True)) == [kept.pk]


def test_what_an_undo_kept_can_be_undone_later(admin):
    first = upload(admin, "first_name,email,city\nA,a@x.example,Rome\nB,b@x.example,Rome\n").json()
    later = upload(admin, "first_name,email,city\nA,a@x.example,Bern\n", duplicates="update").json()
    undone = undo(admin, first).json()
    assert (undone["removed"], undone["kept"]) == (1, 1)
    assert undo(admin, first).json()["kept"] == 1
    assert (undo(admin, later).json()["restored"], Lead.objects.get().city) == (1, "Rome")
    again = undo(admin, first).json()
    assert (again["removed"], again["kept"], again["rows"]) == (1, 0, 1)
    assert not Lead.objects.exists()
    assert undo(admin, first).status_code == 409


def test_undo_keeps_what_others_refer_to(admin):
    body = upload(admin, "first_name\nA\n").json()
    lead = Lead.objects.get()
    admin.post("/api/v1/tasks/", {"title": "Call", "lead": lead.pk})
    undone = undo(admin, body).json()
    assert undone["kept_records"][0]["reason"] == "referred_to"
    assert Lead.objects.count() == 1


def test_undo_is_itself_recorded(admin, admin_user):
    body = upload(admin, "first_name\nA\n").json()
    undone = undo(admin, body).json()
    change = Change.objects.get(entity="lead", kind="deleted")
    assert (change.import_id, change.source, change.actor_id) == (undone["id"], "import", admin_user.pk)


def test_a_rehearsal_cannot_be_undone(admin):
    body = upload(admin, "first_name\nA\n", dry_run="true").json()
    assert undo(admin, body).status_code == 409


def test_undo_goes_back_behind_a_record_that_the_file_names_twice(admin):
    upload(admin, "first_name,email,city\nOld,o@x.example,Rome\n")
    rows = "first_name,email,city\nOld,o@x.example,Bern\nOld,O@x.example,Oslo\n"
    body = upload(admin, rows, duplicates="update").json()
    assert undo(admin, body).json()["restored"] == 1
    assert list(Lead.objects.values_list("city", flat=True)) == ["Rome"]


@pytest.mark.parametrize(("factory", "more"), [(CommentFactory, {}), (ActivityFactory, {"type": "note"})])
def test_undo_keeps_what_somebody_wrote_on(admin, admin_user, factory, more):
    body = upload(admin, "first_name\nA\nB\n").json()
    kept = Lead.objects.get(first_name="A")
    factory(record=kept, author=admin_user, **more)
    undone = undo(admin, body).json()
    word = factory._meta.model._meta.verbose_name
    assert [(one["id"], one["message"]) for one in undone["kept_records"]] == [
        (kept.pk, f"Others refer to it ({word}).")
    ]
    assert list(Lead.objects.values_list("pk", flat=True)) == [kept.pk]


def test_undo_keeps_what_has_left_ones_reach(api, make_user):
    team = TeamFactory(name="East")
    manager, ines = make_user("manager", team=team), make_user("rep", username="ines", team=team)
    body = upload(api(manager), "first_name,owner\nA,ines\nB,\n").json()
    assert body["created"] == 2
    ines.team = TeamFactory(name="West")
    ines.save(update_fields=["team"])
    undone = undo(api(User.objects.get(pk=manager.pk)), body).json()
    assert (undone["removed"], undone["kept"]) == (1, 1)
    assert undone["kept_records"][0]["reason"] == "permission_denied"
    assert list(Lead.objects.values_list("first_name", flat=True)) == ["A"]


def test_what_the_system_derives_by_itself_keeps_nothing(admin):
    body = upload(admin, "first_name\nA\n").json()
    Lead.objects.update(lead_score=77, scored_at=timezone.now())
    assert undo(admin, body).json()["removed"] == 1
    assert not Lead.objects.exists()


def test_an_import_is_undone_within_thirty_days(admin):
    body = upload(admin, "first_name\nA\n").json()
    ImportJob.objects.update(created_at=timezone.now() - timedelta(days=30, minutes=1))
    refused = undo(admin, body)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/too-late")
    assert Lead.objects.count() == 1
    ImportJob.objects.update(created_at=timezone.now() - timedelta(days=29, hours=23))
    assert undo(admin, body).status_code == 200


def test_imports_are_undone_one_after_the_other_the_last_first(admin):
    text = "first_name,email,city\nA,a@x.example,%s\n"
    upload(admin, text % "Rome")
    first, second = (upload(admin, text % city, duplicates="update").json() for city in ("Bern", "Oslo"))
    assert undo(admin, second).json()["restored"] == 1
    assert Lead.objects.get().city == "Bern"
    assert undo(admin, first).json()["restored"] == 1
    assert Lead.objects.get().city == "Rome"


def test_a_later_import_whose_undoing_kept_the_record_counts_as_a_change(admin):
    text = "first_name,email,city\nA,a@x.example,%s\n"
    upload(admin, text % "Rome")
    first, second = (upload(admin, text % city, duplicates="update").json() for city in ("Bern", "Oslo"))
    admin.patch(f"/api/v1/leads/{Lead.objects.get().pk}/", {"job_title": "Chief"})
    assert undo(admin, second).json()["kept"] == 1
    assert undo(admin, first).json()["kept"] == 1


def test_undo_keeps_what_cannot_be_as_it_was_and_restores_the_others(admin):
    old, new = (admin.post("/api/v1/companies/", {"name": name}).json()["id"] for name in ("Old", "New"))
    text = "first_name,last_name,email,company\nA,A,a@x.example,%s\nB,B,b@x.example,%s\n"
    upload(admin, text % ("Old", "New"), "contacts")
    body = upload(admin, text % ("New", "Old"), "contacts", duplicates="update").json()
    there = {c.email: c for c in Contact.objects.all()}
    with audit_context(), connection.cursor() as cursor:
        # Company "Old" goes away, and the import's own contact that refers to it with it.
        Contact.objects.filter(company_id=old).delete()
        cursor.execute("DELETE FROM contacts_company WHERE id = %s", [old])
    kept = undo(admin, body).json()
    assert (kept["restored"], kept["kept_records"][0]["id"]) == (0, there["a@x.example"].pk)
    assert kept["kept_records"][0]["reason"] == "refused"
    assert Contact.objects.get().company_id == new


@pytest.mark.django_db(transaction=True)
def test_what_is_being_changed_while_it_is_undone_is_kept(admin):
    body = upload(admin, "first_name\nA\nB\n").json()
    with ThreadPoolExecutor(1) as pool:
        with audit_context():
            Lead.objects.filter(first_name="A").update(city="Rome")
            undone = pool.submit(in_thread, undo, admin, body)
            wait_for_a_lock()
        answer = undone.result(30).json()
    assert (answer["removed"], answer["kept"]) == (1, 1)
    assert list(Lead.objects.values_list("first_name", "city")) == [("A", "Rome")]


def in_thread(run, *args):
    try:
        return run(*args)
    finally:
        connections.close_all()


def wait_for_a_lock():
    """Until some session of this database waits for another's."""
    for _ in range(200):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
        time.sleep(0.05)
    raise AssertionError("nobody waits")
