"""Completing: once, with the next one of a series."""

from datetime import UTC, datetime

import pytest

from core.changes.models import Change
from lead_management.tests.factories import LeadFactory
from tasks.models import Task
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/tasks/"


@pytest.fixture
def weekly(rep):
    """Mondays at nine in Los Angeles, reminded of an hour before."""
    return TaskFactory(
        title="Report",
        task_type="email",
        priority="high",
        owner=rep,
        lead=LeadFactory(first_name="Ada", owner=rep),
        due_date=datetime(2030, 3, 4, 17, tzinfo=UTC),
        reminder_at=datetime(2030, 3, 4, 16, tzinfo=UTC),
        time_zone="America/Los_Angeles",
        recurrence="FREQ=WEEKLY;BYDAY=MO;COUNT=3",
        tags=["weekly"],
        description="To the board",
        outcome="",
    )


def complete(client, task, body=None):
    return client.post(f"{URL}{getattr(task, 'pk', task)}/complete/", body or {})


def test_a_task_is_completed_with_its_outcome(api, rep):
    task = TaskFactory(title="Call", owner=rep)
    response = complete(api(rep), task, {"outcome": "Spoke to Ada"})
    assert response.status_code == 200
    body = response.json()
    assert (body["status"], body["outcome"], body["next_task"]) == ("completed", "Spoke to Ada", None)
    assert body["completed_at"]
    change = Change.objects.get(entity="task", kind="updated")
    assert change.changes["status"] == ["pending", "completed"]
    assert change.actor_id == rep.pk


@pytest.mark.parametrize("status", ["completed", "cancelled"])
def test_what_is_over_is_not_completed_again(api, rep, status):
    task = TaskFactory(title="Call", owner=rep, status=status, recurrence="FREQ=DAILY")
    response = complete(api(rep), task)
    assert response.status_code == 409
    assert response.json()["type"] == "/problems/not-open"
    assert Task.objects.count() == 1


def test_others_do_not_complete_it(api, make_user, weekly):
    assert complete(api(make_user("rep")), weekly).status_code == 404
    assert complete(api(make_user("viewer")), weekly).status_code == 403
    assert Task.objects.get().status == "pending"


def test_the_assignee_completes_it(api, make_user, rep):
    helper = make_user("rep")
    task = TaskFactory(title="Call", owner=rep, assigned_to=helper)
    assert complete(api(helper), task).status_code == 200


def test_the_next_of_a_series_is_like_the_last(api, rep, weekly):
    body = complete(api(rep), weekly, {"outcome": "Sent"}).json()
    following = Task.objects.get(pk=body["next_task"])
    same = (
        "title",
        "task_type",
        "priority",
        "owner_id",
        "lead_id",
        "time_zone",
        "recurrence",
        "tags",
        "description",
    )
    assert {n: getattr(following, n) for n in same} == {n: getattr(weekly, n) for n in same}
    assert (following.status, following.outcome, following.completed_at) == ("pending", "", None)
    # Clocks go forward on the 10th: nine o'clock is an hour earlier in UTC, and so is the reminder.
    assert following.due_date == datetime(2030, 3, 11, 16, tzinfo=UTC)
    assert following.reminder_at == datetime(2030, 3, 11, 15, tzinfo=UTC)
    assert following.series == weekly


def test_a_series_ends_when_it_is_over(api, rep, weekly):
    dues = [weekly.due_date]
    following = complete(api(rep), weekly).json()["next_task"]
    while following:
        dues.append(Task.objects.get(pk=following).due_date)
        following = complete(api(rep), following).json()["next_task"]
    assert [f"{due:%m-%d}" for due in dues] == ["03-04", "03-11", "03-18"]
    assert set(Task.objects.values_list("status", flat=True)) == {"completed"}
    assert set(Task.objects.exclude(pk=weekly.pk).values_list("series", flat=True)) == {weekly.pk}


def test_no_series_ends_unnoticed_by_a_mere_change_of_status(api, rep, weekly):
    response = api(rep).patch(f"{URL}{weekly.pk}/", {"status": "completed"})
    assert response.status_code == 400
    assert response.json()["errors"][0]["code"] == "use_complete"
    body = {"ids": [weekly.pk], "action": "update", "data": {"status": "completed"}}
    assert api(rep).post(f"{URL}bulk_update/", body).json()["updated"] == 0
    ended = api(rep).patch(f"{URL}{weekly.pk}/", {"status": "completed", "recurrence": ""})
    assert ended.json()["status"] == "completed"


def test_status_and_completion_time_go_together(api, rep):
    task = TaskFactory(title="Call", owner=rep)
    url = f"{URL}{task.pk}/"
    assert api(rep).patch(url, {"status": "completed"}).json()["completed_at"]
    assert api(rep).patch(url, {"status": "in_progress"}).json()["completed_at"] is None


def test_a_series_needs_a_first_day_that_fits(api, rep):
    no_day = api(rep).post(URL, {"title": "x", "recurrence": "FREQ=DAILY"})
    assert [e["field"] for e in no_day.json()["errors"]] == ["due_date"]
    weekly = {"title": "x", "recurrence": "rrule:freq=weekly", "due_date": "2030-01-07T09:00:00Z"}
    made = api(rep).post(URL, weekly).json()
    assert made["recurrence"] == "FREQ=WEEKLY"
    assert api(rep).patch(f"{URL}{made['id']}/", {"due_date": None}).status_code == 400
    # Every twelfth month from January on is never March.
    never = {"recurrence": "FREQ=MONTHLY;INTERVAL=12;BYMONTH=3", "due_date": "2030-01-07T09:00:00Z"}
    assert api(rep).post(URL, {"title": "x"} | never).status_code == 400


@pytest.mark.parametrize(
    "body", [{"outcome": "x" * 501}, {"outcome": "a\x00"}, {"outcome": 5}, {"status": "completed"}]
)
def test_bad_bodies_complete_nothing(api, rep, weekly, body):
    response = complete(api(rep), weekly, body)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == next(iter(body))
    assert Task.objects.get().status == "pending"


@pytest.mark.django_db(transaction=True)
def test_of_eight_completions_at_once_one_wins_and_one_next_is_made(at_once, api, admin_user):
    task = TaskFactory(
        title="Call", owner=admin_user, due_date=datetime(2030, 1, 1, 9, tzinfo=UTC), recurrence="FREQ=DAILY"
    )
    statuses = at_once(*[lambda: complete(api(admin_user), task).status_code] * 8)
    assert sorted(statuses) == [200] + [409] * 7
    assert list(Task.objects.order_by("id").values_list("status", flat=True)) == ["completed", "pending"]
