"""Home: each role's own day and numbers, and each number leads to exactly what it counts."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.activities.tests.factories import ActivityFactory
from core.admin import formats
from core.admin.tests.conftest import team
from core.workflows.models import WorkflowExecution
from core.workflows.tests.factories import WorkflowFactory
from lead_management.tests.factories import LeadFactory
from opportunities.tests.factories import OpportunityFactory
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db
NOW = timezone.now


def home(client):
    return client.get("/admin/").context["home"]


def figures(client):
    return {figure.label: figure for figure in home(client).figures}


def behind(client, url):
    return client.get(url).context["cl"].result_count


@pytest.fixture
def west(robin, nora):
    """Robin's records, some of which ask for something today, and one of each that is Nora's."""
    for person in (robin, nora):
        about = {"owner": person, "assigned_to": person}
        TaskFactory(title="Late", due_date=NOW() - timedelta(days=2), **about)
        TaskFactory(title="Done", due_date=NOW() - timedelta(days=2), status="completed", **about)
        TaskFactory(title="Next week", due_date=NOW() + timedelta(days=8), **about)
        LeadFactory(first_name="Hot", lead_score=90, **about)
        LeadFactory(first_name="Warm", lead_score=90, last_contacted_at=NOW(), **about)
        LeadFactory(first_name="Call", next_follow_up_at=NOW() - timedelta(days=1), **about)
        LeadFactory(first_name="Won", status="converted", **about)
        soon = timezone.localdate() + timedelta(days=3)
        OpportunityFactory(name="Soon", amount="1500", currency="USD", expected_close_date=soon, **about)
        OpportunityFactory(name="Euro", amount="250000", currency="EUR", expected_close_date=None, **about)
        OpportunityFactory(name="Won", stage="closed_won", amount="900", currency="USD", **about)


def test_a_rep_sees_what_is_theirs_to_do_and_each_number_leads_to_it(browser, robin, west):
    client = browser(robin)
    found = figures(client)
    values = {label: (figure.value, figure.detail) for label, figure in found.items()}
    assert values == {
        "Overdue tasks": ("1", ""),
        "Due later today": ("0", ""),
        "Hot, not contacted": ("1", ""),
        "Conversion, 90 days": ("25%", "1 of 4 leads"),
        "Open pipeline": ("€250K", "$1,500 · 2 deals"),
        "Won this month": ("$900", "1 deal"),
    }
    behind_them = {label: behind(client, figure.url) for label, figure in found.items()}
    assert list(behind_them.values()) == [1, 0, 1, 1, 2, 1]


def test_the_day_of_a_rep(browser, robin, west):
    client = browser(robin)
    shown = home(client)
    lines = {panel.title: [line.title for line in panel.lines] for panel in shown.day}
    assert lines == {
        "Tasks": ["Late"],
        "Follow-ups": ["Call"],
        "Hot leads to contact": ["Hot"],
        "Deals closing within 2 weeks": ["Soon"],
    }
    assert (shown.team, shown.system) == ([], [])
    for panel in shown.day:
        assert behind(client, panel.url) == panel.count == len(panel.lines)
        assert all(client.get(line.url).status_code == 200 for line in panel.lines)


def test_a_manager_sees_the_team_and_nothing_of_others(browser, staff, robin, west):
    boss_of_west = staff("wanda", "manager", team=robin.team)
    client = browser(boss_of_west)
    shown = home(client)
    panels = {panel.title: panel for panel in shown.team}
    assert list(panels) == ["Overdue by person", "Pipeline by stage", "Latest activity"]
    assert [(line.title, line.detail) for line in panels["Overdue by person"].lines] == [("robin", "1")]
    assert [line.title for line in panels["Latest activity"].lines] == ["robin"]
    stages = {line.title: line for line in panels["Pipeline by stage"].lines}
    assert stages["Prospecting"].detail == "€250K · $1.5K" or stages["Prospecting"].detail == "€250K · $1,500"
    assert behind(client, stages["Prospecting"].url) == 2
    assert shown.system == []


def test_a_viewer_looks_at_the_team_and_has_no_day_of_their_own(browser, staff, robin, west):
    shown = home(browser(staff("vera", "viewer", team=robin.team)))
    assert shown.day == []
    assert [panel.title for panel in shown.team] == [
        "Overdue by person",
        "Pipeline by stage",
        "Latest activity",
    ]
    assert [figure.label for figure in shown.figures] == [
        "Conversion, 90 days", "Open pipeline", "Won this month",
    ]  # fmt: skip


def test_who_logged_nothing_for_long_is_idle(browser, staff, robin):
    record = LeadFactory(first_name="Ada", owner=robin)
    ActivityFactory(record=record, author=robin, happened_at=NOW() - timedelta(days=9))
    busy = staff("busy", "rep", team=robin.team)
    ActivityFactory(record=record, author=busy, happened_at=NOW() - timedelta(hours=1))
    shown = home(browser(staff("wanda", "manager", team=robin.team)))
    panel = next(panel for panel in shown.team if panel.title == "Latest activity")
    assert [(line.title, "Idle" in line.badge) for line in panel.lines] == [("robin", True), ("busy", False)]


def test_an_administrator_sees_what_failed_in_automation(browser, boss):
    workflow = WorkflowFactory(name="Greet")
    version = workflow.versions.get()
    for number, status in enumerate(("dead", "completed")):
        WorkflowExecution.objects.create(
            workflow=workflow, version=version, event_key=str(number), status=status, error="No such user."
        )
    client = browser(boss)
    panels = {panel.title: panel for panel in home(client).system}
    assert list(panels) == ["Failed runs, 7 days", "Imports", "Scoring models"]
    failed = panels["Failed runs, 7 days"]
    assert [line.title for line in failed.lines] == ["Greet"]
    assert len(client.get(failed.url).context["cl"].result_list) == failed.count == 1


@pytest.mark.parametrize("role", ["admin", "manager", "rep", "viewer"])
def test_the_number_of_statements_is_fixed(browser, staff, role):
    user = staff("someone", role, team=team("North"))
    client = browser(user)
    client.get("/admin/")

    def count():
        with CaptureQueriesContext(connection) as found:
            assert client.get("/admin/").status_code == 200
        return len(found)

    few = count()
    about = {"owner": user, "assigned_to": user}
    for number in range(12):
        TaskFactory(title=str(number), due_date=NOW() - timedelta(days=1), **about)
        LeadFactory(first_name=str(number), lead_score=90, next_follow_up_at=NOW(), **about)
        OpportunityFactory(name=str(number), amount="5", expected_close_date=timezone.localdate(), **about)
    assert count() - few == (1 if role in ("admin", "manager", "viewer") else 0), "the names of who is late"
    assert few <= {"admin": 30, "manager": 25, "rep": 20, "viewer": 20}[role]


def test_the_day_begins_where_the_reader_is(browser, robin, time_machine):
    get_user_model().objects.filter(pk=robin.pk).update(time_zone="Asia/Tokyo")
    time_machine.move_to("2026-03-01T20:00:00Z", tick=False)  # the second of March in Tokyo, at five
    due = timezone.datetime.fromisoformat("2026-03-02T10:00:00+00:00")
    TaskFactory(title="Today", due_date=due, owner=robin, assigned_to=robin)
    page = browser(robin).get("/admin/")
    assert {figure.label: figure.value for figure in page.context["home"].figures}["Due later today"] == "1"
    text = page.content.decode()
    assert "Good morning, robin" in text
    assert "Monday, 2 March" in text


def test_money_and_moments_read_as_people_write_them(time_machine):
    time_machine.move_to("2026-03-01T20:00:00Z", tick=False)
    assert formats.money(None, "USD") == ""
    assert formats.totals({"USD": 0}) == "0"
    assert formats.relative(NOW() - timedelta(days=3)) == "3 days ago"
    assert formats.relative_day(timezone.localdate()) == "today"
    assert 'title="March 1, 2026, 8 p.m."' in formats.when(NOW())
