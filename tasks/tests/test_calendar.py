"""The calendar feed: secret, revocable, readable by any calendar."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from icalendar import Calendar

from core.changes import audit_context
from tasks.models import CalendarFeed
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/calendar/"
DUE = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def task(user, **fields):
    with audit_context(user):
        return TaskFactory(**{"title": "Ring; Ada, soon", "assigned_to": user, "due_date": DUE} | fields)


@pytest.fixture
def feed(api, rep):
    """The path of the rep's feed."""
    answer = api(rep).post(URL)
    assert answer.status_code == 201
    return urlsplit(answer.json()["url"]).path


def events(api, feed):
    answer = api().get(feed)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/calendar; charset=utf-8"
    return {str(e["summary"]): e for e in Calendar.from_ical(answer.content).walk("VEVENT")}


def test_it_holds_ones_own_tasks_with_a_due_time(api, rep, make_user, feed):
    made = task(rep, reminder_at=datetime(2026, 10, 24, 23, 30, tzinfo=UTC), description="Line\nLine")
    task(rep, title="Some day", due_date=None)
    task(rep, title="Cancelled", status="cancelled")
    task(rep, title="Done", status="completed", completed_at=datetime.now(UTC))
    task(rep, title="Done long ago", status="completed", completed_at=datetime(2020, 1, 1, tzinfo=UTC))
    task(rep, title="Archived", archived_at=DUE)
    task(make_user("rep"), title="Theirs")
    found = events(api, feed)
    assert set(found) == {"Ring; Ada, soon", "✓ Done"}
    event = found["Ring; Ada, soon"]
    assert event["uid"] == f"task-{made.pk}@127.0.0.1"
    assert event["dtstart"].dt == DUE
    assert event["dtend"].dt == datetime(2026, 10, 25, 1, 0, tzinfo=UTC)
    assert event["description"] == "Line\nLine"
    assert urlsplit(event["url"]).path == f"/admin/tasks/task/{made.pk}/change/"
    (alarm,) = event.walk("VALARM")
    assert alarm["trigger"].dt == datetime(2026, 10, 24, 23, 30, tzinfo=UTC)


def test_an_unchanged_calendar_is_not_sent_again(api, rep, feed):
    task(rep)
    etag = api().get(feed)["ETag"]
    assert api().get(feed, HTTP_IF_NONE_MATCH=etag).status_code == 304
    task(rep, title="New")
    assert api().get(feed, HTTP_IF_NONE_MATCH=etag).status_code == 200


def test_a_new_address_takes_the_place_of_the_old(api, rep, feed):
    second = urlsplit(api(rep).post(URL).json()["url"]).path
    assert second != feed
    assert api().get(feed).status_code == 404
    assert api().get(second).status_code == 200
    assert api(rep).get(URL).json()["enabled"] is True
    assert api(rep).get(URL).json()["last_used_at"] is not None


def test_it_can_be_taken_back(api, rep, feed):
    assert api(rep).post(f"{URL}remove/").status_code == 204
    assert api().get(feed).status_code == 404
    assert api(rep).get(URL).json() == {"enabled": False, "created_at": None, "last_used_at": None}


def test_who_is_no_longer_active_has_no_calendar(api, rep, feed):
    rep.is_active = False
    rep.save()
    assert api().get(feed).status_code == 404


def test_the_secret_is_not_kept_and_nobody_reads_anothers(api, rep, make_user, feed):
    secret = feed.split("/")[-2]
    assert secret not in CalendarFeed.objects.get(user=rep).digest
    assert api(make_user("viewer")).get(URL).json()["enabled"] is False
    assert api().get(URL).status_code == 401
    assert api().get(f"{URL}{'x' * 43}/tasks.ics").status_code == 404


def lines(api, feed):
    """The feed's content lines, unfolded."""
    return api().get(feed).content.decode().replace("\r\n ", "").split("\r\n")


def test_texts_come_back_as_they_were(api, rep, feed):
    task(rep, title=r"C:\New\notes, a; b \n \; \,", description="one\r\ntwo\rthree\\N")
    found = lines(api, feed)
    assert r"SUMMARY:C:\\New\\notes\, a\; b \\n \\\; \\\," in found
    assert r"DESCRIPTION:one\ntwo\nthree\\N" in found


def test_control_characters_stay_out(api, rep, feed):
    task(rep, title="bell\x07 esc\x1b vt\x0b tab\t.")
    assert "SUMMARY:bell esc vt tab\t." in lines(api, feed)


def test_a_reminder_is_a_moment(api, rep, feed):
    task(rep, reminder_at=datetime(2026, 10, 24, 23, 30, tzinfo=UTC))
    assert "TRIGGER;VALUE=DATE-TIME:20261024T233000Z" in lines(api, feed)


def test_ones_own_tasks_that_nobody_else_has_are_in_it(api, rep, make_user, feed):
    task(None, title="Mine", owner=rep, assigned_to=None)
    task(None, title="Given away", owner=rep, assigned_to=make_user("rep"))
    task(None, title="Nobody's", assigned_to=None)
    assert set(events(api, feed)) == {"Mine"}


def test_a_task_due_on_a_day_takes_the_day(api, rep, feed):
    body = {"title": "Pay", "due_date": "2026-10-25", "time_zone": "Europe/Berlin", "assigned_to": rep.pk}
    rep.time_zone = "Europe/Berlin"
    rep.save()
    assert api(rep).post("/api/v1/tasks/", body).status_code == 201
    assert "DTSTART;VALUE=DATE:20261025" in lines(api, feed)


def test_the_ends_of_the_calendar_break_no_feed(api, rep, feed):
    for year in (1, 9999):
        task(
            rep,
            title="Never",
            due_date=datetime(year, 12 if year > 1 else 1, 31 if year > 1 else 1, 23, 59, tzinfo=UTC),
        )
    task(rep)
    assert set(events(api, feed)) == {"Ring; Ada, soon"}
