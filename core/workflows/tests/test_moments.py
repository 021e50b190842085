"""Schedules and dates: what time itself starts, each once, in the record's zone, where clocks change too."""

from datetime import UTC, datetime, timedelta

import pytest

from core.workflows import sweeps
from core.workflows.models import Workflow, WorkflowExecution
from tasks.models import Task

pytestmark = pytest.mark.django_db
NOTE = [("send_notification", {"message": "now"})]


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def looked_at(monkeypatch):
    """looked_at(workflow, since, now) → the runs that one look at a stretch of time starts."""

    def look(workflow, since, now):
        Workflow.objects.filter(pk=workflow.pk).update(swept_until=since)
        monkeypatch.setattr(sweeps, "database_now", lambda: now)
        return sweeps.sweep()

    return look


@pytest.fixture
def first_run_at(looked_at):
    """first_run_at(workflow, since) → the minute of the sweep that first starts its run."""

    def find(workflow, since, hours=60):
        low, high = 0, hours * 60
        assert looked_at(workflow, since, since + timedelta(minutes=high)) == 1
        WorkflowExecution.objects.filter(workflow=workflow).delete()
        while high - low > 1:
            middle = (low + high) // 2
            if looked_at(workflow, since, since + timedelta(minutes=middle)):
                WorkflowExecution.objects.filter(workflow=workflow).delete()
                high = middle
            else:
                low = middle
        return f"{since + timedelta(minutes=high):%m-%d %H:%M}"

    return find


# Berlin puts its clocks forward on 29 March 2026 at 01:00 UTC, and back on 25 October at 01:00 UTC.
@pytest.mark.parametrize(
    ("zone", "day", "settings", "expected"),
    [
        ("UTC", "2026-03-29", {}, "03-29 00:00"),
        ("Europe/Berlin", "2026-03-29", {}, "03-28 23:00"),
        ("Europe/Berlin", "2026-03-29", {"at": "09:00"}, "03-29 07:00"),
        # A day earlier is nine o'clock too, though only 23 hours before.
        ("Europe/Berlin", "2026-03-29", {"at": "09:00", "offset": {"days": -1}}, "03-28 08:00"),
        ("Europe/Berlin", "2026-03-28", {"at": "09:00", "offset": {"days": 1}}, "03-29 07:00"),
        ("Europe/Berlin", "2026-03-29", {"at": "09:00", "offset": {"hours": -24}}, "03-28 07:00"),
        # 02:30 does not exist: as long after the gap, half past three.
        ("Europe/Berlin", "2026-03-29", {"at": "02:30"}, "03-29 01:30"),
        ("Europe/Berlin", "2026-10-25", {"at": "09:00"}, "10-25 08:00"),
        ("Europe/Berlin", "2026-10-26", {"at": "09:00", "offset": {"days": -2}}, "10-24 07:00"),
        (
            "America/New_York",
            "2026-10-26",
            {"at": "09:00", "offset": {"weeks": -1, "hours": 1}},
            "10-19 14:00",
        ),
        ("Pacific/Auckland", "2026-10-25", {"at": "00:30"}, "10-24 11:30"),
    ],
)
def test_a_date_is_reached_in_the_zone_of_whom_the_record_is_assigned_to(
    make_workflow, make_user, admin, first_run_at, zone, day, settings, expected
):
    user = make_user("rep", time_zone=zone)
    given = {"field": "expected_close_date", **settings}
    workflow = make_workflow(NOTE, "date_reached", model="opportunity", settings=given)
    body = {"name": "Deal", "expected_close_date": day, "assigned_to": user.pk}
    assert admin.post("/api/v1/opportunities/", body).status_code == 201
    wanted = datetime.strptime(f"2026-{expected}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    assert first_run_at(workflow, wanted - timedelta(hours=30)) == expected


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        ({"hours": -2}, "03-29 05:00"),
        ({"days": -1}, "03-28 08:00"),
        ({"minutes": 15}, "03-29 07:15"),
        ({"days": 210}, "10-25 08:00"),
    ],
)
def test_before_and_after_a_moment_of_the_record(
    make_workflow, make_lead, make_user, first_run_at, offset, expected
):
    """Nine in Berlin on the day of the change stays nine in Berlin some days before or after."""
    user = make_user("rep", time_zone="Europe/Berlin")
    settings = {"field": "next_follow_up_at", "offset": offset}
    workflow = make_workflow(NOTE, "date_reached", settings=settings)
    make_lead(next_follow_up_at="2026-03-29T07:00:00Z", assigned_to=user.pk)
    wanted = datetime.strptime(f"2026-{expected}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    assert first_run_at(workflow, wanted - timedelta(hours=30)) == expected


def test_a_date_is_run_once_however_often_it_is_looked_for_and_again_when_it_was_moved(
    make_workflow, make_lead, change, looked_at
):
    workflow = make_workflow(
        NOTE, "date_reached", settings={"field": "next_follow_up_at"}, conditions={"city": "Oslo"}
    )
    lead = make_lead(next_follow_up_at="2026-05-01T12:00:00Z", city="Oslo")
    make_lead(next_follow_up_at="2026-05-01T12:00:00Z", city="Rome")
    day = utc("2026-05-01T00:00"), utc("2026-05-02T00:00")
    assert [looked_at(workflow, *day) for _ in range(3)] == [1, 0, 0]
    change(lead, next_follow_up_at="2026-05-01T18:00:00Z")
    assert [looked_at(workflow, *day) for _ in range(2)] == [1, 0]
    assert set(WorkflowExecution.objects.values_list("object_id", flat=True)) == {lead.pk}


def test_dates_before_a_workflow_was_switched_on_are_not_made_up_for(make_workflow, make_lead):
    make_lead(next_follow_up_at="2020-05-01T12:00:00Z")
    make_workflow(NOTE, "date_reached", settings={"field": "next_follow_up_at"})
    assert sweeps.sweep() == 0


def test_a_task_is_overdue_once_and_only_while_it_is_open(make_workflow, admin, admin_user, looked_at):
    workflow = make_workflow(NOTE, "task_overdue", model="task")
    for title, status in (("Open", "pending"), ("Done", "completed"), ("Later", "pending")):
        due = "2026-06-01T12:00:00Z" if title == "Later" else "2026-05-01T12:00:00Z"
        body = {"title": title, "due_date": due, "status": status}
        assert admin.post("/api/v1/tasks/", body).status_code == 201
    stretch = utc("2026-05-01T11:00"), utc("2026-05-01T13:00")
    assert [looked_at(workflow, *stretch) for _ in range(3)] == [1, 0, 0]
    assert WorkflowExecution.objects.get().object_id == Task.objects.get(title="Open").pk


@pytest.mark.parametrize(("policy", "expected"), [("all", 3), ("one", 1), ("skip", 0)])
def test_after_a_downtime_of_three_ticks_a_schedule_catches_up_as_configured(
    make_workflow, looked_at, policy, expected
):
    settings = {"cron": "0 * * * *", "catch_up": policy}
    workflow = make_workflow(NOTE, "schedule", model="", settings=settings)
    assert looked_at(workflow, utc("2026-05-01T09:30"), utc("2026-05-01T12:30")) == expected


def test_a_tick_runs_for_each_record_that_meets_the_conditions(make_workflow, make_lead, looked_at):
    workflow = make_workflow(NOTE, "schedule", settings={"cron": "0 9 * * *"}, conditions={"city": "Oslo"})
    wanted = {make_lead(city="Oslo").pk for _ in range(3)}
    make_lead(city="Rome")
    day = utc("2026-05-01T00:00"), utc("2026-05-02T00:00")
    assert [looked_at(workflow, *day) for _ in range(2)] == [3, 0]
    assert set(WorkflowExecution.objects.values_list("object_id", flat=True)) == wanted
