"""Which day it is for automation: where the record's assignee is, else where its schedule is, else its owner,
else the site."""

from datetime import UTC, date, datetime

import pytest
import time_machine
from django.db import connection

from core.workflows import engine, sweeps
from core.workflows.models import Workflow, WorkflowExecution
from lead_management.tests.factories import LeadFactory
from opportunities.models import Pipeline
from opportunities.tests.factories import OpportunityFactory
from tasks.models import Task
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db
# The last day of November in UTC and in Los Angeles is December already on Kiritimati.
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
NOVEMBER, DECEMBER = date(2026, 11, 30), date(2026, 12, 1)
EAST, WEST = "Pacific/Kiritimati", "America/Los_Angeles"
TODAY = {"field": "expected_close_date", "value": "today"}
DAY = [("update_field", {"field": "next_step", "value": "{{ today }}"})]


@pytest.fixture(autouse=True)
def late_november():
    with time_machine.travel(NOON, tick=False):
        yield


@pytest.fixture
def people(make_user):
    """The zone of each person by the first letter of the name: e(ast), w(est)."""
    return {"e": make_user("rep", time_zone=EAST), "w": make_user("rep", time_zone=WEST), "": None}


@pytest.fixture
def make_deal(people):
    pipeline = Pipeline.objects.get(is_default=True)

    def make(owner, assignee="", day=DECEMBER, **fields):
        return OpportunityFactory(
            name="Deal",
            pipeline=pipeline,
            stage="prospecting",
            owner=people[owner],
            assigned_to=people[assignee],
            expected_close_date=day,
            **fields,
        )

    return make


def matched():
    return set(WorkflowExecution.objects.values_list("object_id", flat=True))


CASES = [
    # owner, assignee, whether the first of December is today
    ("w", "e", True),
    ("e", "w", False),
    ("e", "", True),
    ("w", "", False),
    ("", "", False),
]


@pytest.mark.parametrize(("owner", "assignee", "is_today"), CASES)
def test_conditions_on_a_changed_record(make_workflow, make_deal, settle, owner, assignee, is_today):
    make_workflow(DAY, conditions=TODAY, model="opportunity")
    december, november = make_deal(owner, assignee), make_deal(owner, assignee, NOVEMBER)
    settle()
    met = december if is_today else november
    assert matched() == {met.pk}
    met.refresh_from_db()
    assert met.next_step == str(met.expected_close_date)


@pytest.mark.parametrize(("owner", "assignee", "is_today"), CASES)
def test_negated_and_spanning_conditions(make_workflow, make_deal, settle, owner, assignee, is_today):
    spanning = {"field": "expected_close_date", "op": "within_next", "value": {"days": 1}}
    make_workflow(DAY, conditions={"all": [{"not": TODAY}, spanning]}, model="opportunity")
    deals = {day: make_deal(owner, assignee, date(2026, *day)) for day in ((11, 30), (12, 1), (12, 2))}
    settle()
    # What is not today and within a day of it is tomorrow.
    assert matched() == {deals[12, 2 if is_today else 1].pk}


def test_a_day_begins_where_the_assignee_is(make_workflow, people, settle):
    before = {"field": "due_date", "op": "before", "value": "tomorrow"}
    make_workflow([("add_tag", {"tag": "x"})], conditions=before, model="task")
    # Tomorrow begins at ten in the morning of 1 December UTC on Kiritimati, at eight in Los Angeles.
    due = datetime(2026, 12, 1, 9, tzinfo=UTC)
    east, _west = (TaskFactory(title="x", due_date=due, assigned_to=people[name]) for name in "ew")
    settle()
    assert matched() == {east.pk}


@pytest.mark.parametrize(
    ("owner", "assignee", "is_today"), [("w", "", True), ("w", "e", True), ("e", "w", False)]
)
def test_conditions_of_a_schedule(make_workflow, make_deal, monkeypatch, settle, owner, assignee, is_today):
    workflow = make_workflow(DAY, trigger="schedule", conditions=TODAY, model="opportunity")
    Workflow.objects.filter(pk=workflow.pk).update(
        trigger_conditions=workflow.trigger_conditions | {"cron": "0 * * * *", "time_zone": EAST},
    )
    Workflow.objects.filter(pk=workflow.pk).update(swept_until=datetime(2026, 11, 30, 11, 30, tzinfo=UTC))
    monkeypatch.setattr(sweeps, "database_now", lambda: NOON)
    december, november = make_deal(owner, assignee), make_deal(owner, assignee, NOVEMBER)
    assert sweeps.sweep() == 1
    met = december if is_today else november
    assert matched() == {met.pk}
    while engine.run_due():
        continue
    met.refresh_from_db()
    assert met.next_step == str(met.expected_close_date)


def test_a_deal_that_automation_closes_is_closed_on_its_assignees_day(
    make_workflow, make_deal, people, settle
):
    close = [("update_field", {"field": "stage", "value": "closed_won"})]
    make_workflow(close, model="opportunity", run_as=people["w"])
    deal = make_deal("w", "e")
    settle()
    deal.refresh_from_db()
    assert (deal.status, deal.actual_close_date) == ("won", _day(EAST))


def test_a_day_that_automation_writes_down_ends_where_the_assignee_is(make_workflow, people, settle):
    fields = {"title": "x", "due_date": "2026-12-01", "assigned_to": people["e"].pk}
    make_workflow([("create_record", {"model": "task", "fields": fields})], run_as=None)
    LeadFactory(first_name="Ada")
    settle()
    assert Task.objects.get().due_date == datetime(2026, 12, 1, 9, 59, 59, tzinfo=UTC)


def _day(zone):
    """The day that it is somewhere by the database's clock, which no test sets."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT timezone(%s, now())::date", [zone])
        return cursor.fetchone()[0]
