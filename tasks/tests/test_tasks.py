"""Tasks over HTTP: subjects, zones, lateness, figures."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from contacts.tests.factories import CompanyFactory, ContactFactory
from lead_management.tests.factories import LeadFactory
from opportunities.models import Pipeline
from opportunities.tests.factories import OpportunityFactory
from tasks.models import Task
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/tasks/"
RELATED_RECORDS = ("lead", "contact", "company", "opportunity")


def subject(name, owner, **fields):
    """A record a task may be about."""
    if name == "lead":
        return LeadFactory(first_name="L", owner=owner, **fields)
    if name == "contact":
        return ContactFactory(first_name="C", owner=owner, **fields)
    if name == "company":
        return CompanyFactory(name="F", owner=owner, **fields)
    pipeline = Pipeline.objects.get(is_default=True)
    return OpportunityFactory(name="O", pipeline=pipeline, stage="prospecting", owner=owner, **fields)


def create(client, **fields):
    response = client.post(URL, {"title": "Call"} | fields)
    assert response.status_code == 201, response.json()
    return response.json()


def test_a_task_with_its_defaults(api, rep):
    made = create(api(rep))
    expected = {
        "title": "Call",
        "description": "",
        "task_type": "other",
        "status": "pending",
        "priority": "medium",
        "due_date": None,
        "reminder_at": None,
        "time_zone": "UTC",
        "lead": None,
        "contact": None,
        "company": None,
        "opportunity": None,
        "recurrence": "",
        "series": None,
        "completed_at": None,
        "outcome": "",
        "is_overdue": False,
        "owner": rep.pk,
        "assigned_to": None,
    }
    assert {name: made[name] for name in expected} == expected


def test_every_type_and_priority_is_taken_in_any_case(api, rep):
    for kind in ("call", "EMAIL", "Meeting", "follow_up", "proposal", "demo", "other"):
        assert create(api(rep), task_type=kind)["task_type"] == kind.lower()
    for priority in ("low", "medium", "HIGH", "urgent"):
        assert create(api(rep), priority=priority)["priority"] == priority.lower()


# -- what a task is about -----------------------------------------------------------------------


@pytest.mark.parametrize("name", RELATED_RECORDS)
def test_a_task_is_about_any_record_and_found_by_it(api, rep, name):
    record = subject(name, rep)
    made = create(api(rep), **{name: record.pk})
    create(api(rep))
    found = api(rep).get(URL, {name: record.pk}).json()["results"]
    assert [r["id"] for r in found] == [made["id"]]


@pytest.mark.parametrize("name", RELATED_RECORDS)
@pytest.mark.parametrize("state", ["hidden", "archived"])
def test_a_task_is_about_what_its_writer_sees(api, rep, make_user, name, state):
    if state == "hidden":
        record = subject(name, make_user("rep"))
    else:
        record = subject(name, rep, archived_at=timezone.now())
    response = api(rep).post(URL, {"title": "x", name: record.pk})
    assert response.status_code == 400
    assert [(e["field"], e["code"]) for e in response.json()["errors"]] == [(name, "does_not_exist")]
    mine = create(api(rep))
    assert api(rep).patch(f"{URL}{mine['id']}/", {name: record.pk}).status_code == 400
    assert not Task.objects.filter(**{name: record}).exists()


def test_a_task_is_about_one_record_at_most(api, rep):
    both = {name: subject(name, rep).pk for name in ("lead", "company")}
    response = api(rep).post(URL, {"title": "x"} | both)
    assert response.status_code == 400
    assert {e["field"] for e in response.json()["errors"]} == {"lead", "company"}
    made = create(api(rep), lead=both["lead"])
    assert api(rep).patch(f"{URL}{made['id']}/", {"company": both["company"]}).status_code == 400
    swapped = api(rep).patch(f"{URL}{made['id']}/", {"company": both["company"], "lead": None})
    assert (swapped.json()["lead"], swapped.json()["company"]) == (None, both["company"])


def test_the_database_holds_it_too(rep):
    from django.db import IntegrityError, transaction

    with pytest.raises(IntegrityError), transaction.atomic():
        TaskFactory(title="x", lead=subject("lead", rep), company=subject("company", rep))


def test_who_is_given_a_task_sees_the_task_and_not_its_subject(api, rep, make_user):
    other = make_user("rep")
    lead = subject("lead", rep)
    made = create(api(rep), lead=lead.pk, assigned_to=other.pk)
    shown = api(other).get(f"{URL}{made['id']}/", {"expand": "lead"}).json()
    assert shown["lead"] == lead.pk
    assert api(other).get(f"/api/v1/leads/{lead.pk}/").status_code == 404
    assert api(other).patch(f"{URL}{made['id']}/", {"outcome": "Spoke"}).status_code == 200


# -- zones --------------------------------------------------------------------------------------


def test_the_zone_is_the_writers_unless_said_otherwise(api, make_user):
    writer = make_user("rep", time_zone="America/Los_Angeles")
    assert create(api(writer))["time_zone"] == "America/Los_Angeles"
    assert create(api(writer), time_zone="Europe/Berlin")["time_zone"] == "Europe/Berlin"


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "UTC+25", "x" * 65])
def test_zones_there_are_none_of_are_refused(api, rep, zone):
    response = api(rep).post(URL, {"title": "x", "time_zone": zone})
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "time_zone"


def due_today(client):
    return {r["title"][:9] for r in client.get(URL, {"due_today": "true"}).json()["results"]}


def test_due_today_is_today_where_one_is(api, make_user):
    west = make_user("rep", time_zone="America/Los_Angeles")
    east = make_user("rep", time_zone="Pacific/Auckland")
    # 2030-01-15 20:00 in Los Angeles, 2030-01-16 17:00 in Auckland.
    with time_machine.travel(datetime(2030, 1, 16, 4, tzinfo=UTC), tick=False):
        for user in (west, east):
            create(api(user), title="still the 15th in the west", due_date="2030-01-16T07:59:59Z")
            create(api(user), title="the 16th in both", due_date="2030-01-16T08:00:00Z")
            create(api(user), title="the 17th in the east", due_date="2030-01-16T11:00:00Z")
        assert due_today(api(west)) == {"still the"}
        assert due_today(api(east)) == {"still the", "the 16th "}
        assert api(west).get(f"{URL}statistics/").json()["due_today"] == 1
        assert api(east).get(f"{URL}statistics/").json()["due_today"] == 2


def test_the_day_the_clocks_change_is_a_day_long_anyhow(api, make_user):
    berlin = make_user("rep", time_zone="Europe/Berlin")
    # The 31st of March 2030 has 23 hours in Berlin: 23:00 UTC of the 30th to 22:00 UTC.
    with time_machine.travel(datetime(2030, 3, 31, 12, tzinfo=UTC), tick=False):
        for due in (
            "2030-03-30T22:59:59Z",
            "2030-03-30T23:00:00Z",
            "2030-03-31T21:59:59Z",
            "2030-03-31T22:00:00Z",
        ):
            create(api(berlin), due_date=due)
        found = api(berlin).get(URL, {"due_today": "true", "ordering": "due_date"}).json()["results"]
        assert [r["due_date"][:19] for r in found] == ["2030-03-30T23:00:00", "2030-03-31T21:59:59"]


# -- late ---------------------------------------------------------------------------------------


def test_only_open_tasks_are_overdue(api, rep):
    past = timezone.now() - timedelta(hours=1)
    for status in ("pending", "in_progress", "completed", "cancelled"):
        TaskFactory(title=status, status=status, due_date=past, owner=rep)
    TaskFactory(title="future", due_date=timezone.now() + timedelta(hours=1), owner=rep)
    TaskFactory(title="whenever", owner=rep)
    listed = lambda **params: {r["title"] for r in api(rep).get(URL, params).json()["results"]}  # noqa: E731
    assert listed(overdue="true") == {"pending", "in_progress"}
    assert listed(overdue="false") == {"completed", "cancelled", "future", "whenever"}
    assert listed(open="false") == {"completed", "cancelled"}
    assert listed(due_today="true") | listed(due_today="false") == listed()
    late = {r["title"] for r in api(rep).get(URL).json()["results"] if r["is_overdue"]}
    assert late == {"pending", "in_progress"}


def test_statistics_are_exact_and_ones_own(api, rep, make_user, django_assert_max_num_queries):
    now = timezone.now()
    rows = [
        ("completed", "high", "call", None),
        ("completed", "low", "call", None),
        ("cancelled", "low", "email", None),
        ("pending", "high", "demo", now - timedelta(days=3)),
        ("in_progress", "urgent", "demo", now + timedelta(days=3)),
    ]
    for status, priority, kind, due in rows:
        TaskFactory(title="x", status=status, priority=priority, task_type=kind, due_date=due, owner=rep)
    TaskFactory(title="hidden", owner=make_user("rep"))
    client = api(rep)
    with django_assert_max_num_queries(4):
        found = client.get(f"{URL}statistics/").json()
    assert found == {
        "total": 5,
        "open": 2,
        "overdue": 1,
        "due_today": 0,
        "completed": 2,
        "completion_rate": 0.5,
        "by_status": {"pending": 1, "in_progress": 1, "completed": 2, "cancelled": 1},
        "by_priority": {"low": 2, "medium": 0, "high": 2, "urgent": 1},
        "by_type": {
            "call": 2,
            "email": 1,
            "meeting": 0,
            "follow_up": 0,
            "proposal": 0,
            "demo": 2,
            "other": 0,
        },
    }
    assert client.get(f"{URL}statistics/", {"task_type": "demo"}).json()["total"] == 2


@pytest.mark.parametrize(
    "bad",
    [
        {"title": ""},
        {"title": "a\x00b"},
        {"title": "x" * 201},
        {"task_type": "party"},
        {"status": "done"},
        {"priority": "highest"},
        {"due_date": "tomorrow"},
        {"due_date": 7},
        {"due_date": "2030-02-30T00:00:00Z"},
        {"due_date": "0000-01-01T00:00:00Z"},
        {"reminder_at": []},
        {"lead": "x"},
        {"lead": 0.5},
        {"lead": 99999999999999999999},
        {"assigned_to": 999_999},
        {"recurrence": "every day"},
        {"recurrence": "FREQ=DAILY;INTERVAL=0"},
        {"completed_at": "2030-01-01T00:00:00Z"},
        {"series": 1},
        {"is_overdue": True},
    ],
)
def test_bad_values_are_refused_at_their_field(api, rep, bad):
    due = {} if "due_date" in bad else {"due_date": "2030-01-01T09:00:00Z"}
    response = api(rep).post(URL, {"title": "x"} | due | bad)
    assert response.status_code == 400
    assert [e["field"] for e in response.json()["errors"]] == [next(iter(bad))]
    assert not Task.objects.exists()
