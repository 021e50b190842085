"""Reminders and overdue tasks: each told once, to whom it belongs."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from core.changes import audit_context
from core.changes.dispatch import dispatch
from core.notifications.models import Notification
from core.notifications.reminders import notify_due_reminders
from lead_management.tests.factories import LeadFactory
from tasks.models import Task
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db
NOON = datetime(2030, 3, 4, 12, tzinfo=UTC)


def task(user, **fields):
    with audit_context(user):
        return TaskFactory(**{"title": "Ring", "owner": user, "assigned_to": user} | fields)


def titles(user):
    return sorted(Notification.objects.filter(recipient=user).values_list("title", flat=True))


def test_a_reminder_comes_at_its_minute_and_once(rep):
    task(rep, reminder_at=NOON)
    assert notify_due_reminders("reminder", NOON - timedelta(seconds=1)) == 0
    assert notify_due_reminders("reminder", NOON) == 1
    assert notify_due_reminders("reminder", NOON + timedelta(minutes=1)) == 0
    assert titles(rep) == ["Reminder: Ring"]


def test_a_reminder_that_is_moved_comes_again(rep):
    made = task(rep, reminder_at=NOON)
    notify_due_reminders("reminder", NOON)
    Task.objects.filter(pk=made.pk).update(reminder_at=NOON + timedelta(hours=1))
    assert notify_due_reminders("reminder", NOON + timedelta(hours=1)) == 1


def test_a_lead_to_follow_up_reminds_its_assignee_or_else_its_owner(rep, make_user):
    boss = make_user("manager")
    with audit_context():
        LeadFactory(first_name="Ada", owner=boss, assigned_to=rep, next_follow_up_at=NOON)
        LeadFactory(first_name="Bob", owner=boss, next_follow_up_at=NOON)
        LeadFactory(first_name="Cy", owner=boss, next_follow_up_at=NOON, status="lost")
        LeadFactory(first_name="Di", next_follow_up_at=NOON)
    assert notify_due_reminders("reminder", NOON) == 2
    assert (titles(rep), titles(boss)) == (["Follow up with Ada"], ["Follow up with Bob"])


@pytest.mark.parametrize("fields", [{"status": "completed"}, {"status": "cancelled"}, {"archived_at": NOON}])
def test_nobody_is_reminded_of_what_is_over(rep, fields):
    task(rep, reminder_at=NOON, due_date=NOON, **fields)
    assert (notify_due_reminders("reminder", NOON), notify_due_reminders("overdue", NOON)) == (0, 0)


def test_what_is_overdue_is_notified_once_however_often_it_is_checked(rep):
    task(rep, title="Late", due_date=NOON - timedelta(hours=3))
    task(rep, title="Later", due_date=NOON + timedelta(minutes=20))
    assert [notify_due_reminders("overdue", NOON + timedelta(minutes=30 * i)) for i in range(4)] == [
        1,
        1,
        0,
        0,
    ]
    assert titles(rep) == ["Overdue: Late", "Overdue: Later"]


def inbox(user):
    return sorted(
        Notification.objects.filter(recipient=user, is_in_inbox=True).values_list("title", flat=True)
    )


def test_many_overdue_at_once_are_reported_in_one_line_and_later_ones_add_to_it(rep, make_user):
    other = make_user("rep")
    for i in range(5):
        task(rep, title=f"Late {i}", due_date=NOON)
        task(other, title=f"Late {i}", due_date=NOON + timedelta(minutes=i // 3))
    assert notify_due_reminders("overdue", NOON) == 1 + 3
    assert inbox(rep) == ["5 tasks are overdue"]
    assert inbox(other) == ["Overdue: Late 0", "Overdue: Late 1", "Overdue: Late 2"]
    assert notify_due_reminders("overdue", NOON) == 0
    for i in range(4):
        task(rep, title=f"Later {i}", due_date=NOON)
    assert notify_due_reminders("overdue", NOON + timedelta(minutes=30)) == 1 + 2
    assert inbox(rep) == ["9 tasks are overdue"]
    assert notify_due_reminders("overdue", NOON + timedelta(minutes=60)) == 0


def test_whoever_takes_an_overdue_task_over_is_notified_too(rep, make_user):
    made = task(rep, due_date=NOON)
    notify_due_reminders("overdue", NOON)
    other = make_user("rep")
    Task.objects.filter(pk=made.pk).update(assigned_to=other)
    assert notify_due_reminders("overdue", NOON + timedelta(minutes=30)) == 1
    assert titles(other) == ["Overdue: Ring"]


def test_a_short_outage_loses_nothing_and_a_long_past_is_left(rep):
    task(rep, title="Missed", reminder_at=NOON - timedelta(days=6))
    task(rep, title="Ancient", reminder_at=NOON - timedelta(days=8))
    assert notify_due_reminders("reminder", NOON) == 1
    assert titles(rep) == ["Reminder: Missed"]


def test_nobody_is_reminded_of_what_was_past_when_it_arrived(rep):
    now = timezone.now()
    past, ahead = now - timedelta(days=2), now + timedelta(hours=1)
    task(rep, title="Imported", reminder_at=past)
    moved = task(rep, title="Moved", reminder_at=ahead)
    back = task(rep, title="Back", reminder_at=ahead, archived_at=now)
    task(rep, title="Ahead", reminder_at=ahead)
    LeadFactory(first_name="Old", owner=rep, next_follow_up_at=past)
    Task.objects.filter(pk=moved.pk).update(reminder_at=past)
    assert notify_due_reminders("reminder", now) == 0
    assert notify_due_reminders("overdue", now) == 0
    assert notify_due_reminders("reminder", ahead) == 1
    assert titles(rep) == ["Reminder: Ahead"]
    Task.objects.filter(pk=back.pk).update(reminder_at=past)
    Task.objects.filter(pk=back.pk).update(archived_at=None)
    assert notify_due_reminders("reminder", ahead) == 0


def test_of_imported_tasks_that_are_overdue_one_hears_in_one_line(rep):
    for number in range(5):
        task(rep, title=str(number), due_date=timezone.now() - timedelta(days=1))
    assert notify_due_reminders("overdue") == 1
    shown = Notification.objects.filter(recipient=rep, is_in_inbox=True)
    assert [notified.title for notified in shown] == ["5 tasks are overdue"]


def test_the_series_keeps_its_hour_when_the_clocks_change(api, rep):
    """The next task of a weekly one is due at nine on the wall, and reminds an hour before, in winter too."""
    with time_machine.travel(datetime(2030, 10, 24, 12, tzinfo=UTC), tick=False):
        made = (
            api(rep)
            .post(
                "/api/v1/tasks/",
                {
                    "title": "Weekly",
                    "assigned_to": rep.pk,
                    "due_date": "2030-10-24T07:00:00Z",
                    "reminder_at": "2030-10-24T06:00:00Z",
                    "time_zone": "Europe/Berlin",
                    "recurrence": "FREQ=WEEKLY",
                },
            )
            .json()
        )
        following = api(rep).post(f"/api/v1/tasks/{made['id']}/complete/").json()["next_task"]
        dispatch()
    due = Task.objects.get(pk=following).due_date
    assert due == datetime(2030, 10, 31, 8, tzinfo=UTC)
    assert notify_due_reminders("reminder", datetime(2030, 10, 31, 6, 59, tzinfo=UTC)) == 0
    assert notify_due_reminders("reminder", datetime(2030, 10, 31, 7, 0, tzinfo=UTC)) == 1
