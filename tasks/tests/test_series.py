"""Series of tasks: each has its own start and rule, whatever happens to single tasks of it."""

from datetime import UTC, datetime

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile

from core.changes.models import Change
from tasks.models import Task
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/tasks/"
# A Monday.
START = "2030-01-07T09:00:00Z"


@pytest.fixture
def client(api, rep):
    return api(rep)


def make(client, **fields):
    body = {"title": "Report", "due_date": START, "recurrence": "FREQ=WEEKLY;BYDAY=MO"} | fields
    response = client.post(URL, body)
    assert response.status_code == 201, response.json()
    return response.json()


def following(client, pk):
    """Complete a task; the next of its series."""
    response = client.post(f"{URL}{pk}/complete/", {})
    assert response.status_code == 200, response.json()
    found = response.json()["next_task"]
    return found and client.get(f"{URL}{found}/").json()


def verb(client, pk, name, **fields):
    return client.post(f"{URL}{pk}/{name}/", fields)


def patch(client, pk, **fields):
    response = client.patch(f"{URL}{pk}/", fields)
    assert response.status_code == 200, response.json()
    return response.json()


def day(task):
    return task["due_date"][5:10]


def test_an_occurrence_that_is_moved_leaves_the_series_where_it_was(client):
    first = make(client)
    moved = patch(client, first["id"], due_date="2030-01-09T09:00:00Z")
    assert (day(moved), moved["recurrence_id"]) == ("01-09", "2030-01-07T09:00:00.000000Z")
    second = following(client, first["id"])
    assert (day(second), day(following(client, second["id"]))) == ("01-14", "01-21")


def test_an_occurrence_that_is_moved_forward_does_not_come_again(client):
    second = following(client, make(client)["id"])
    patch(client, second["id"], due_date="2030-01-11T09:00:00Z")
    assert day(following(client, second["id"])) == "01-21"


def test_an_occurrence_is_moved_to_a_day_that_the_rule_never_comes_from(client):
    first = make(client, recurrence="FREQ=MONTHLY;INTERVAL=12;BYMONTH=1")
    assert day(patch(client, first["id"], due_date="2030-02-01T09:00:00Z")) == "02-01"
    assert following(client, first["id"])["due_date"][:10] == "2031-01-07"


def test_the_last_of_the_month_stays_the_last_of_the_month(client):
    first = make(client, due_date="2030-01-31T09:00:00Z", recurrence="FREQ=MONTHLY;BYMONTHDAY=-1")
    patch(client, first["id"], due_date="2030-02-01T09:00:00Z")
    second = following(client, first["id"])
    assert (day(second), day(following(client, second["id"]))) == ("02-28", "03-31")


def test_a_count_goes_on_when_tasks_are_deleted_for_good(client, admin):
    first = make(client, recurrence="FREQ=WEEKLY;BYDAY=MO;COUNT=3")
    second = following(client, first["id"])
    assert admin.delete(f"{URL}{first['id']}/?hard=true").status_code == 204
    third = following(client, second["id"])
    assert (day(third), third["series"]) == ("01-21", first["id"])
    assert admin.delete(f"{URL}{second['id']}/?hard=true").status_code == 204
    assert following(client, third["id"]) is None


def test_this_one_is_changed_and_those_that_follow_are_not(client):
    first = make(client, tags=["weekly"])
    response = verb(client, first["id"], "update_occurrence", title="Yearly report", priority="high", tags=[])
    assert (response.status_code, response.json()["title"]) == (200, "Yearly report")
    second = following(client, first["id"])
    assert (second["title"], second["priority"], second["tags"]) == ("Report", "medium", ["weekly"])


def test_this_one_and_those_that_follow_are_changed(client):
    first = make(client, reminder_at="2030-01-07T08:00:00Z")
    changed = verb(
        client, first["id"], "update_following",
        title="Minutes", due_date="2030-01-09T10:00:00Z", recurrence="FREQ=WEEKLY;BYDAY=WE",
    ).json()  # fmt: skip
    assert (day(changed), changed["reminder_at"][11:16]) == ("01-09", "09:00")
    second = following(client, first["id"])
    assert (day(second), second["title"], second["reminder_at"][5:16]) == ("01-16", "Minutes", "01-16T09:00")
    assert second["series"] == first["id"]


def test_a_rule_without_days_moves_with_the_date_and_keeps_what_is_left_of_its_count(client):
    first = make(client, recurrence="FREQ=WEEKLY;COUNT=4")
    second = following(client, first["id"])
    changed = verb(client, second["id"], "update_following", due_date="2030-01-16T09:00:00Z").json()
    assert changed["recurrence"] == "FREQ=WEEKLY;COUNT=3"
    third = following(client, second["id"])
    fourth = following(client, third["id"])
    assert (day(third), day(fourth)) == ("01-23", "01-30")
    assert following(client, fourth["id"]) is None


def test_a_rule_that_names_other_days_is_asked_for_with_the_new_date(client):
    first = make(client)
    response = verb(client, first["id"], "update_following", due_date="2030-01-09T09:00:00Z")
    assert response.status_code == 400
    assert [e["field"] for e in response.json()["errors"]] == ["recurrence"]
    assert Task.objects.get().due_date == datetime(2030, 1, 7, 9, tzinfo=UTC)


def test_one_occurrence_has_no_rule_of_its_own(client):
    first = make(client)
    response = verb(client, first["id"], "update_occurrence", title="x", recurrence="FREQ=DAILY")
    assert response.status_code == 400
    assert [e["field"] for e in response.json()["errors"]] == ["recurrence"]
    assert Task.objects.get().title == "Report"


@pytest.mark.parametrize("name", ["update_occurrence", "update_following"])
def test_what_is_in_no_series_or_over_is_not_changed_by_them(client, api, make_user, name):
    alone = make(client, recurrence="")
    assert verb(client, alone["id"], name, title="x").status_code == 409
    done = make(client)
    following(client, done["id"])
    assert verb(client, done["id"], name, title="x").status_code == 409
    other = make(client)
    assert verb(api(make_user("rep")), other["id"], name, title="x").status_code == 404
    assert verb(api(make_user("viewer")), other["id"], name, title="x").status_code == 403
    assert verb(client, other["id"], name, surprise="x").status_code == 400
    assert not Task.objects.filter(title="x").exists()


def test_a_reminder_that_is_moved_with_an_occurrence_stays_with_it(client):
    first = make(client, reminder_at="2030-01-07T08:30:00Z")
    patch(client, first["id"], due_date="2030-01-09T12:00:00Z", reminder_at="2030-01-09T09:00:00Z")
    assert following(client, first["id"])["reminder_at"][:16] == "2030-01-14T08:30"


def test_another_rule_begins_with_the_task_that_is_given_it(client):
    first = make(client)
    patch(client, first["id"], recurrence="FREQ=DAILY;COUNT=2")
    second = following(client, first["id"])
    assert day(second) == "01-08"
    assert following(client, second["id"]) is None


def test_the_next_one_goes_to_nobody_who_was_deactivated(api, rep, make_user, admin):
    gone, owner = make_user("rep"), make_user("rep")
    task = make(admin, assigned_to=gone.pk, owner=owner.pk)
    gone.is_active = False
    gone.save()
    second = following(admin, task["id"])
    assert (second["owner"], second["assigned_to"]) == (owner.pk, owner.pk)
    owner.is_active = False
    owner.save()
    third = following(admin, second["id"])
    assert third["owner"] == third["assigned_to"] not in (gone.pk, owner.pk)


def test_rows_from_elsewhere_are_placed_too(rep):
    due = datetime(2030, 1, 7, 9, tzinfo=UTC)
    task = TaskFactory(title="x", owner=rep, due_date=due, recurrence="FREQ=DAILY")
    task.refresh_from_db()
    assert (task.series_start, task.recurrence_id) == (due, due)
    Task.objects.filter(pk=task.pk).update(recurrence="")
    task.refresh_from_db()
    assert (task.series_start, task.recurrence_id) == (None, None)


def test_what_the_system_keeps_of_a_series_is_no_change(client):
    first = make(client)
    verb(client, first["id"], "update_occurrence", priority="high")
    assert Change.objects.get(entity="task", kind="updated").changes == {"priority": ["medium", "high"]}


@pytest.mark.parametrize("due", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC"])
def test_series_at_the_ends_of_the_calendar(client, due, zone):
    body = {"title": "x", "due_date": due, "recurrence": "FREQ=DAILY", "time_zone": zone}
    made = client.post(URL, body)
    assert made.status_code in (201, 400)
    if made.status_code == 201:
        assert client.post(f"{URL}{made.json()['id']}/complete/", {}).status_code == 200


# -- days without a time ---------------------------------------------------------------------------


def test_a_due_date_without_a_time_is_the_end_of_that_day(api, rep):
    rep.time_zone = "America/Los_Angeles"
    rep.save()
    made = api(rep).post(URL, {"title": "x", "due_date": "2026-11-30"}).json()
    assert made["due_date"] == "2026-12-01T07:59:59.000000Z"
    for moment, late in (("2026-12-01T07:00:00Z", False), ("2026-12-01T08:00:00Z", True)):
        with time_machine.travel(moment, tick=False):
            found = api(rep).get(URL, {"overdue": "true"}).json()["count"]
        assert found == int(late)
    changed = api(rep).patch(f"{URL}{made['id']}/", {"due_date": "2026-12-24"}).json()
    assert changed["due_date"] == "2026-12-25T07:59:59.000000Z"
    body = {"ids": [made["id"]], "action": "update", "data": {"due_date": "2026-12-31"}}
    assert api(rep).post(f"{URL}bulk_update/", body).json()["updated"] == 1
    assert api(rep).get(f"{URL}{made['id']}/").json()["due_date"] == "2027-01-01T07:59:59.000000Z"


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_the_first_and_the_last_day_of_the_calendar(api, rep, day, zone):
    rep.time_zone = zone
    rep.save()
    made = api(rep).post(URL, {"title": "x", "due_date": day})
    assert made.status_code == 201
    assert made.json()["due_date"][:4] == day[:4]


@pytest.mark.parametrize("bad", ["2026-11-31", "2026-1-1", "20261130xx", "tomorrow"])
def test_what_is_no_date_is_refused(client, bad):
    response = client.post(URL, {"title": "x", "due_date": bad})
    assert response.status_code == 400
    assert [e["field"] for e in response.json()["errors"]] == ["due_date"]


def test_an_imported_due_date_without_a_time_is_the_end_of_that_day_too(api, rep):
    rep.time_zone = "America/Los_Angeles"
    rep.save()
    rows = "Subject,Due Date\nPay,2026-11-30\nCall,2026-11-30 09:00\n"
    body = {"file": SimpleUploadedFile("tasks.csv", rows.encode())}
    answer = api(rep).post("/api/v1/import/tasks/", body, format="multipart").json()
    assert (answer["created"], answer["failed"]) == (2, 0), answer
    found = dict(Task.objects.values_list("title", "due_date"))
    assert found["Pay"] == datetime(2026, 12, 1, 7, 59, 59, tzinfo=UTC)
    assert found["Call"] == datetime(2026, 11, 30, 17, tzinfo=UTC)
