"""The calendar of tasks and follow-ups: who sees what on which day, and what moving it does."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.admin import calendar
from core.changes.models import Change
from core.customization.tests.factories import FieldRightFactory
from core.entities.field_rights import FieldRight
from lead_management.tests.factories import LeadFactory
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db
CALENDAR = "/admin/calendar/"
MAY = {"view": "month", "day": "2031-05-14"}


def at(day, hour=10, zone="UTC"):
    return datetime(2031, 5, day, hour, 30, tzinfo=ZoneInfo(zone))


def shown(client, query=MAY):
    """Day → titles, of those that have any."""
    days = client.get(CALENDAR, query).context["days"]
    return {one.day.isoformat(): [item.title for item in one.items] for one in days if one.items}


def move(client, key, record, to, query="view=month&day=2031-05-14"):
    answer = client.post(
        f"{CALENDAR}?{query}", {"id": f"{key}-{record.pk}", "version": record.version, "to": to}
    )
    return answer.status_code, answer.json()["message"]


def test_tasks_and_follow_ups_stand_on_their_days(browser, robin, nora):
    TaskFactory(title="Call", due_date=at(14), owner=robin)
    TaskFactory(title="Done", due_date=at(14), owner=robin, status="completed")
    TaskFactory(title="Noras", due_date=at(14), owner=nora)
    LeadFactory(first_name="Ada", next_follow_up_at=at(14, 8), owner=robin)
    LeadFactory(first_name="Bob", next_follow_up_at=at(20), owner=robin, assigned_to=robin)
    LeadFactory(first_name="Lost", status="lost", next_follow_up_at=at(20), owner=robin)
    client = browser(robin)
    assert shown(client) == {"2031-05-14": ["Ada", "Call"], "2031-05-20": ["Bob"]}
    assert shown(client, {"view": "week", "day": "2031-05-20"}) == {"2031-05-20": ["Bob"]}
    assert shown(client, {"day": "2031-06-20"}) == {}


def test_a_day_is_one_where_its_reader_is(browser, staff):
    kiri = staff("kiri", "rep", time_zone="Pacific/Kiritimati")
    TaskFactory(title="Late evening in Europe", due_date=at(14, 20), owner=kiri)
    assert shown(browser(kiri)) == {"2031-05-15": ["Late evening in Europe"]}


def test_mine_is_what_falls_to_me_and_all_what_i_see(browser, robin, nora):
    TaskFactory(title="Handed over", due_date=at(14), owner=robin, assigned_to=nora)
    client = browser(robin)
    assert shown(client) == {}
    assert shown(client, MAY | {"who": "all"}) == {"2031-05-14": ["Handed over"]}


def test_what_is_moved_keeps_its_time_and_is_a_change_as_any_other(browser, robin):
    task = TaskFactory(due_date=at(14), owner=robin)
    lead = LeadFactory(next_follow_up_at=at(14), owner=robin)
    client = browser(robin)
    assert move(client, "task", task, "2031-05-21") == (200, "")
    assert move(client, "lead", lead, "2031-05-13") == (200, "")
    task.refresh_from_db()
    lead.refresh_from_db()
    assert (task.due_date, lead.next_follow_up_at) == (at(21), at(13))
    change = Change.objects.filter(entity="task", object_id=task.pk).latest("id")
    assert (change.source, change.actor_id) == ("admin", robin.pk)


def test_what_somebody_changed_meanwhile_stays(browser, robin):
    task = TaskFactory(due_date=at(14), owner=robin)
    type(task).objects.filter(pk=task.pk).update(title="Another")
    status, message = move(browser(robin), "task", task, "2031-05-21")
    assert (status, message) == (409, "Somebody changed this record meanwhile: look at it again.")
    task.refresh_from_db()
    assert task.due_date == at(14)


@pytest.mark.parametrize("to", ["", "2031-02-31", "tomorrow", "0001-01-01", "9999-12-31"])
def test_what_is_no_day_moves_nothing(browser, robin, to):
    task = TaskFactory(due_date=at(14), owner=robin)
    assert move(browser(robin), "task", task, to)[0] == 409
    task.refresh_from_db()
    assert task.due_date == at(14)
    assert browser(robin).get(CALENDAR, {"day": to}).status_code == 200


def test_nobody_moves_what_they_may_not_change(browser, robin, nora, staff):
    task = TaskFactory(due_date=at(14), owner=nora)
    assert move(browser(robin), "task", task, "2031-05-21")[0] == 409
    viewer = browser(staff("vera", "viewer", team=nora.team))
    [item] = [
        item for one in viewer.get(CALENDAR, MAY | {"who": "all"}).context["days"] for item in one.items
    ]
    assert item.may_move is False
    assert move(viewer, "task", task, "2031-05-21")[0] == 409
    task.refresh_from_db()
    assert task.due_date == at(14)


def test_a_day_that_is_hidden_from_a_role_is_in_no_calendar(browser, robin):
    lead = LeadFactory(first_name="Ada", next_follow_up_at=at(14), owner=robin)
    FieldRightFactory(role="rep", entity="lead", field="next_follow_up_at", access="read_only")
    client = browser(robin)
    [item] = [item for one in client.get(CALENDAR, MAY).context["days"] for item in one.items]
    assert item.may_move is False
    assert move(client, "lead", lead, "2031-05-21")[0] == 409
    FieldRight.objects.update(access="hidden")
    assert shown(client) == {}


def test_statements_do_not_grow_with_what_stands_in_it(browser, robin):
    client = browser(robin)

    def count():
        with CaptureQueriesContext(connection) as found:
            shown(client)
        return len(found)

    TaskFactory(due_date=at(14), owner=robin)
    count()
    few = count()
    for day in range(1, 9):
        TaskFactory(due_date=at(day), owner=robin)
    assert count() == few


def test_where_more_is_due_than_is_read_the_page_says_from_which_day_on(browser, robin, monkeypatch):
    monkeypatch.setattr(calendar, "READ", 2)
    task = TaskFactory(due_date=at(13), owner=robin)
    TaskFactory(due_date=at(14), owner=robin)
    client = browser(robin)
    assert client.get(CALENDAR, MAY).context["cut"] == []
    last = TaskFactory(title="Beyond", due_date=at(20), owner=robin)
    page = client.get(CALENDAR, MAY)
    [text] = page.context["cut"]
    assert "from May 20, 2031 on not all are shown, for there are more than 2." in text
    assert text in page.content.decode()
    assert str(last) not in [item.title for one in page.context["days"] for item in one.items]
    answer = client.post(
        f"{CALENDAR}?view=month&day=2031-05-14",
        {"id": f"task-{task.pk}", "version": task.version, "to": "2031-05-12"},
    )
    assert text in answer.json()["html"], "the answer to a move says so as well"


def test_more_of_a_day_is_shown_of_everyone_where_the_month_was(browser, robin):
    for _ in range(calendar.SHOWN + 1):
        TaskFactory(due_date=at(14), owner=robin)
    client = browser(robin)
    assert 'href="?view=week&amp;day=2031-05-14"' in client.get(CALENDAR, MAY).content.decode()
    page = client.get(CALENDAR, MAY | {"who": "all"}).content.decode()
    assert 'href="?view=week&amp;day=2031-05-14&amp;who=all"' in page


def test_what_is_late_is_said_in_words(browser, robin):
    past = at(14).replace(year=2021)
    TaskFactory(title="Call", due_date=past, owner=robin)
    TaskFactory(title="Later", due_date=at(14), owner=robin)
    client = browser(robin)
    page = client.get(CALENDAR, {"day": "2021-05-14"}).content.decode()
    assert 'Call<span class="sr-only">, late</span></a>' in page
    assert "Later</a>" in client.get(CALENDAR, MAY).content.decode()
