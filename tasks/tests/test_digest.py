"""The digest: at eight on each user's wall, once a day, and only when there is something to say."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.accounts.models import User
from core.activities.models import Mention
from core.activities.tests.factories import CommentFactory
from core.changes import audit_context
from core.notifications import preferences, sending
from core.notifications.digest import send_digests
from core.notifications.models import Delivery, Notification, NotificationPreference
from core.notifications.tests.factories import NotificationPreferenceFactory
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory
from opportunities.models import Opportunity, Pipeline
from opportunities.tests.factories import OpportunityFactory
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def in_zone(user, zone):
    User.objects.filter(pk=user.pk).update(time_zone=zone)
    user.time_zone = zone


def late_task(user):
    """Something that a digest at any time in these tests has to say."""
    with audit_context():
        return TaskFactory(title="Late", assigned_to=user, due_date=utc("2020-01-01T00:00"))


@pytest.mark.parametrize(
    ("zone", "before", "at"),
    [
        ("Europe/Berlin", "2026-03-28T06:59", "2026-03-28T07:00"),
        ("Europe/Berlin", "2026-03-29T05:59", "2026-03-29T06:00"),  # clocks went forward at one (UTC)
        ("Europe/Berlin", "2026-10-24T05:59", "2026-10-24T06:00"),
        ("Europe/Berlin", "2026-10-25T06:59", "2026-10-25T07:00"),
        ("America/New_York", "2026-03-07T12:59", "2026-03-07T13:00"),
        ("America/New_York", "2026-03-08T11:59", "2026-03-08T12:00"),
        ("America/New_York", "2026-11-01T12:59", "2026-11-01T13:00"),
        ("Australia/Lord_Howe", "2026-04-03T20:59", "2026-04-03T21:00"),
        ("Australia/Lord_Howe", "2026-04-04T21:29", "2026-04-04T21:30"),  # back by half an hour
        ("Australia/Lord_Howe", "2026-10-02T21:29", "2026-10-02T21:30"),
        ("Australia/Lord_Howe", "2026-10-03T20:59", "2026-10-03T21:00"),
    ],
)
def test_it_comes_at_eight_on_the_wall_also_where_the_clocks_change(rep, zone, before, at):
    in_zone(rep, zone)
    late_task(rep)
    assert send_digests(utc(before)) == 0
    assert send_digests(utc(at)) == 1
    assert send_digests(utc(at) + timedelta(hours=2)) == 0


def test_a_user_gets_one_a_day_and_a_restart_changes_nothing(rep):
    late_task(rep)
    assert [send_digests(utc(f"2026-05-05T{h:02}:00")) for h in (7, 8, 9, 23)] == [0, 1, 0, 0]
    NotificationPreference.objects.update(daily_on=None)
    send_digests(utc("2026-05-05T10:00"))
    assert Notification.objects.filter(type="digest").count() == 1
    assert Delivery.objects.count() == 1
    assert send_digests(utc("2026-05-06T08:00")) == 1


def test_nothing_is_sent_when_there_is_nothing_to_say(rep):
    assert send_digests(utc("2026-05-05T08:00")) == 0
    assert NotificationPreference.objects.get(user=rep).daily_on == date(2026, 5, 5)
    assert not Notification.objects.exists()
    late_task(rep)
    assert send_digests(utc("2026-05-05T09:00")) == 0, "today's was made, and had nothing to say"


def test_weekly_comes_on_mondays_for_those_who_asked(make_user):
    viewer = make_user("viewer")
    late_task(viewer)
    NotificationPreferenceFactory(user=viewer, weekly_digest=True)
    days = [send_digests(utc(f"2026-05-{day:02}T08:00")) for day in range(4, 12)]
    assert days == [1, 0, 0, 0, 0, 0, 0, 1]
    assert Notification.objects.first().title == "Your weekly digest, Monday 11 May"


def test_quiet_hours_hold_it(rep):
    late_task(rep)
    NotificationPreferenceFactory(user=rep, quiet=True, quiet_days=["mon"], quiet_until="09:30")
    send_digests(utc("2026-05-05T08:00"))
    assert Delivery.objects.get().due_at == utc("2026-05-05T09:30")


@pytest.fixture
def full_day(rep, make_user):
    """A rep for whom every section has something."""
    now = utc("2026-05-05T08:00")
    boss = make_user("admin", username="boss")
    pipeline = Pipeline.objects.get(is_default=True)
    with audit_context(boss):
        lead = LeadFactory(
            first_name="Ada",
            company_name="Acme",
            assigned_to=rep,
            lead_score=91,
            created_at=now - timedelta(hours=3),
        )
        LeadFactory(first_name="Old", owner=rep, created_at=now - timedelta(days=3))
        LeadFactory(first_name="Theirs", owner=rep, assigned_to=boss, created_at=now)
        TaskFactory(title="Ring", assigned_to=rep, due_date=now + timedelta(hours=3))
        TaskFactory(title="Tomorrow", assigned_to=rep, due_date=now + timedelta(days=1))
        TaskFactory(title="Late", owner=rep, due_date=now - timedelta(days=2))
        deal = {"pipeline": pipeline, "owner": rep, "created_at": now - timedelta(days=90)}
        moved = OpportunityFactory(
            name="Moved", stage="qualification", expected_close_date="2026-05-09", amount=Decimal(500), **deal
        )
        OpportunityFactory(name="Still", stage="prospecting", **deal)
        made = CommentFactory(record=lead, body="@rep look", author=boss)
        Mention.objects.create(comment=made, user=rep, created_at=now - timedelta(hours=1))
    return now, moved


def contents():
    (row,) = Notification.objects.filter(type="digest")
    return {s["key"]: [i["title"] for i in s["items"]] for s in row.data["sections"]}


def test_it_says_what_is_new_hot_due_overdue_moving_and_closing(rep, full_day):
    now, moved = full_day
    with connection.cursor() as cursor:  # the trigger has set the moments to now, the day of the tests
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE opportunities_opportunity DISABLE TRIGGER USER")
        Opportunity.objects.filter(pk=moved.pk).update(stage_changed_at=now - timedelta(hours=2))
        Opportunity.objects.exclude(pk=moved.pk).update(stage_changed_at=now - timedelta(days=80))
        cursor.execute("ALTER TABLE opportunities_opportunity ENABLE TRIGGER USER")
    assert send_digests(now) == 1
    found = contents()
    assert found["new_leads"] == ["Ada"]
    assert found["hot_leads"] == ["Ada"]
    assert found["tasks_due"] == ["Ring"]
    assert found["tasks_overdue"] == ["Late"]
    assert found["deals_moved"] == ["Moved"]
    assert found["deals_closing"] == ["Moved"]
    assert found["mentions"] == ["boss: @rep look"]
    sending.send_due()
    (mail_,) = [m for m in mail.outbox if "digest" in m.subject]
    assert mail_.subject == "Your daily digest, Tuesday 5 May"
    html = mail_.alternatives[0].content
    assert "Tue 5 May 11:00" in html
    assert "Ring" in mail_.body


def test_a_section_shows_the_first_and_counts_the_rest(rep):
    with audit_context():
        for i in range(11):
            TaskFactory(title=f"T{i}", assigned_to=rep, due_date=utc("2026-05-01T00:00") + timedelta(hours=i))
    send_digests(utc("2026-05-05T08:00"))
    (found,) = Notification.objects.get(type="digest").data["sections"]
    assert (found["total"], found["more"], len(found["items"])) == (11, 3, 8)
    assert found["items"][0]["title"] == "T0"


def test_the_number_of_statements_does_not_depend_on_the_users(make_user):
    def statements(count, day):
        for user in [make_user("rep") for _ in range(count)]:
            late_task(user)
        with CaptureQueriesContext(connection) as captured:
            made = send_digests(utc(f"2026-05-{day:02}T08:00"))
        return len(captured), made

    one, few = statements(1, 5)
    many, all_ = statements(20, 6)
    assert (few, all_) == (1, 21)
    assert one == many


def mentioned(rep, boss, text):
    """A lead of someone else, assigned to the rep, with a comment that names them."""
    with audit_context(boss):
        lead = LeadFactory(first_name="Ada", owner=boss, assigned_to=rep)
        made = CommentFactory(record=lead, body=text, author=boss)
        Mention.objects.create(comment=made, user=rep, created_at=utc("2026-05-05T07:00"))
    return lead


def taken_away(lead):
    with audit_context():
        Lead.objects.filter(pk=lead.pk).update(assigned_to=None)


def test_a_mention_on_what_the_reader_no_longer_sees_is_not_in_it(rep, make_user):
    boss = make_user("admin")
    lead = mentioned(rep, boss, "The secret")
    mentioned(rep, boss, "No secret")
    taken_away(lead)
    assert send_digests(utc("2026-05-05T08:00")) == 1
    (section,) = [s for s in Notification.objects.get().data["sections"] if s["key"] == "mentions"]
    assert (section["total"], [item["title"] for item in section["items"]]) == (1, [f"{boss}: No secret"])


def test_one_that_waited_says_nothing_of_what_went_out_of_sight(rep, make_user):
    lead = mentioned(rep, make_user("admin"), "The secret")
    late_task(rep)
    send_digests(utc("2026-05-05T08:00"))
    taken_away(lead)
    sending.send_due()
    (sent,) = mail.outbox
    assert "Late" in sent.body
    assert "secret" not in sent.body
    assert "Ada" not in sent.body


def test_one_with_nothing_left_to_say_is_not_sent(rep, make_user):
    lead = mentioned(rep, make_user("admin"), "The secret")
    send_digests(utc("2026-05-05T08:00"))
    taken_away(lead)
    sending.send_due()
    assert Delivery.objects.get().status == "skipped"


def test_one_that_waits_is_not_sent_to_who_has_unsubscribed(rep):
    late_task(rep)
    send_digests(utc("2026-05-05T08:00"))
    preferences.without_email(rep, "digest")
    sending.send_due()
    assert Delivery.objects.get().status == "skipped"
    assert mail.outbox == []


def test_who_wants_no_mail_at_all_gets_no_digest(rep):
    late_task(rep)
    NotificationPreferenceFactory(user=rep, channels={"email": False}, daily_digest=True)
    assert send_digests(utc("2026-05-05T08:00")) == 0
