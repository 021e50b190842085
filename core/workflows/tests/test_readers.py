"""Runs, dry runs and backtests know what whom the workflow acts as knows; who reads them sees no more than
they may."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.accounts.tests.factories import TeamFactory
from core.customization.tests.factories import FieldRightFactory
from core.workflows.models import WorkflowExecution
from core.workflows.readers import RunReader
from lead_management.models import Lead

pytestmark = pytest.mark.django_db
# Phones are in E.164.
PHONE = "+12025550123"


@pytest.fixture
def people(make_user):
    """A manager from whom phone numbers are hidden, and a rep of the same team."""
    FieldRightFactory(role="manager", field="phone")
    team = TeamFactory()
    return make_user("manager", team=team, is_staff=True), make_user("rep", team=team)


@pytest.fixture
def manager(people):
    return people[0]


@pytest.fixture
def rep(people):
    return people[1]


@pytest.fixture
def run(make_workflow, make_lead, settle, rep):
    """Of a rep's workflow that tells phone numbers."""
    actions = [
        ("add_tag", {"tag": "x"}),
        ("add_tag", {"tag": "{{ lead.phone }}"}),
        ("update_field", {"field": "phone", "value": "+12025550199"}),
        (
            "branch",
            {"conditions": {"field": "phone", "op": "is_empty"}, "then": [{"type": "stop", "params": {}}]},
        ),
    ]
    make_workflow(actions, run_as=rep)
    make_lead(user=rep, phone=PHONE)
    return settle()[0]


def steps(answer):
    return [(step["output"], step["withheld"]) for step in answer["steps"]]


def test_a_step_that_shows_a_hidden_field_is_withheld(api, admin, manager, run):
    url = f"/api/v1/executions/{run.pk}/"
    whole = admin.get(url).json()
    assert whole["withheld"] is False
    assert steps(whole) == [
        ({"tags": ["x"]}, False),
        ({"tags": ["x", PHONE]}, False),
        ({"field": "phone", "old": PHONE, "new": "+12025550199"}, False),
        ({"met": False}, False),
    ]
    seen = api(manager).get(url).json()
    assert seen["withheld"] is True
    assert steps(seen) == [({"tags": ["x"]}, False), ({}, True), ({}, True), ({}, True)]
    listed = api(manager).get("/api/v1/executions/").json()["results"]
    assert [steps(one) for one in listed] == [steps(seen)]


@pytest.mark.parametrize("model", ["lead", None])
def test_what_a_hook_sent_under_the_name_of_a_hidden_field_is_withheld(api, admin, manager, run, model):
    """Also where it stands in a document of its own, and where a template names that otherwise."""
    payload = {"city": "Oslo", "person": {"phone": PHONE, "name": "Ada"}, "all": [{"phone": PHONE}, 1]}
    texts = [
        "{{ payload.city }}",
        "{{ payload.person.name }}",
        "{{ payload.person.phone }}",
        '{{ payload["person"]["phone"] }}',
        "{{ payload.person }}",
        "{{ payload }}",
        "{% for one in payload.all %}{{ one.phone }}{% endfor %}",
        "{% assign one = payload.person %}{{ one.phone }}",
        "{{ payload.all[0] }}",
        "{{ payload[payload.city] }}",
    ]
    about = ("lead", run.object_id) if model else ("", None)

    def shown_to(user):
        reader = RunReader(user)
        return [reader.sees_step(*about, "stop", {"reason": text}, {}, payload) for text in texts]

    assert (shown_to(manager), shown_to(None)) == ([True, True] + [False] * 8, [True] * 10)
    WorkflowExecution.objects.filter(pk=run.pk).update(
        trigger_data=payload, entity=about[0], object_id=about[1]
    )
    url = f"/api/v1/executions/{run.pk}/"
    assert admin.get(url).json()["trigger_data"] == payload
    seen = api(manager).get(url).json()
    assert (seen["trigger_data"], seen["withheld"]) == (
        {"city": "Oslo", "person": {"name": "Ada"}, "all": [{}, 1]},
        True,
    )


def test_the_page_of_a_run_withholds_the_same(client, manager, run):
    client.force_login(manager)
    page = client.get(f"/admin/core/workflowexecution/{run.pk}/change/")
    assert [step["withheld"] for step in page.context["steps"]] == [False, True, True, True]
    assert PHONE not in page.content.decode()
    assert "Left out is what tells of records or fields that you may not see." in page.content.decode()


def test_of_a_record_that_is_not_theirs_nothing_is_shown(api, client, manager, run, make_user):
    stranger = make_user("rep", team=TeamFactory())
    WorkflowExecution.objects.filter(pk=run.pk).update(trigger_data={"note": "secret"}, error="city Oslo")
    url = f"/api/v1/executions/{run.pk}/"
    assert api(manager).get(url).json()["trigger_data"] == {"note": "secret"}
    Lead.objects.filter(pk=run.object_id).update(owner=stranger, assigned_to=stranger)
    seen = api(manager).get(url).json()
    assert (seen["trigger_data"], seen["error"], seen["withheld"]) == ({}, "", True)
    assert steps(seen) == [({}, True)] * 4
    client.force_login(manager)
    page = client.get(f"/admin/core/workflowexecution/{run.pk}/change/").content.decode()
    assert "secret" not in page
    assert "Oslo" not in page
    below = client.get(f"/admin/core/workflow/{run.workflow_id}/change/").context["runs"]
    assert [one["error"] for one in below] == [""]


def test_the_list_of_runs_asks_once_for_all_their_records(api, manager, run, make_lead, rep, settle):
    def queries():
        with CaptureQueriesContext(connection) as found:
            assert api(manager).get("/api/v1/executions/").status_code == 200
        return len(found)

    queries()
    one = queries()
    make_lead(user=rep)
    make_lead(user=rep)
    settle()
    assert WorkflowExecution.objects.count() == 3
    assert queries() == one


def test_a_dry_run_withholds_what_it_would_do_with_hidden_fields(
    api, admin, manager, make_workflow, make_lead, rep
):
    workflow = make_workflow(
        [
            ("add_comment", {"body": "Call {{ lead.phone }}"}),
            ("add_tag", {"tag": "x"}),
            (
                "branch",
                {"conditions": {"phone": PHONE}, "then": [{"type": "stop", "params": {"reason": "a"}}]},
            ),
            ("stop", {"reason": "b"}),
        ],
        conditions={"all": [{"field": "phone", "value": PHONE}, {"field": "city", "value": "Oslo"}]},
        run_as=rep,
    )
    lead = make_lead(user=rep, phone=PHONE, city="Oslo")
    url = f"/api/v1/workflows/{workflow.pk}/test/"
    whole = admin.post(url, {"lead_id": lead.pk}).json()
    assert (whole["would_run"], [one["type"] for one in whole["actions"]]) == (
        True,
        ["add_comment", "add_tag", "branch", "stop"],
    )
    seen = api(manager).post(url, {"lead_id": lead.pk}).json()
    assert seen["would_run"] is None
    assert [one["met"] for one in seen["conditions"]] == [None, True]
    # The way ends at the branch: what is behind it tells which way that took.
    assert seen["actions"] == [
        {"path": "0", "type": "add_comment", "withheld": True},
        {"path": "1", "type": "add_tag", "would": {"tag": ["x"]}},
        {"path": "2", "type": "branch", "withheld": True},
    ]


def test_a_condition_about_another_record_is_withheld_where_that_is_not_theirs(
    api, manager, make_workflow, make_lead, rep, make_user
):
    from contacts.tests.factories import CompanyFactory

    other = make_user("rep", team=TeamFactory())
    workflow = make_workflow([("stop", {})], conditions={"company.industry": "Mining"}, run_as=None)
    company = CompanyFactory(industry="Mining", owner=other)
    lead = make_lead(user=rep)
    Lead.objects.filter(pk=lead.pk).update(company=company)
    workflow.run_as = rep
    workflow.save()
    answer = api(manager).post(f"/api/v1/workflows/{workflow.pk}/test/", {"lead_id": lead.pk}).json()
    assert [(one["met"], one["withheld"]) for one in answer["conditions"]] == [(None, True)]


def test_a_backtest_counts_no_record_that_its_reader_does_not_see(
    api, admin, manager, make_workflow, make_lead, rep
):
    workflow = make_workflow([("add_comment", {"body": "{{ lead.phone }}"})], run_as=rep)
    lead = make_lead(user=rep, phone=PHONE)
    url = f"/api/v1/workflows/{workflow.pk}/backtest/"
    seen = api(manager).post(url).json()
    assert (seen["runs"], seen["examples"][0]["object_id"]) == (1, lead.pk)
    assert seen["examples"][0]["actions"] == [{"path": "0", "type": "add_comment", "withheld": True}]
    hidden = make_workflow([("stop", {})], conditions={"phone": PHONE}, run_as=rep)
    assert admin.post(f"/api/v1/workflows/{hidden.pk}/backtest/").json()["runs"] == 1
    assert api(manager).post(f"/api/v1/workflows/{hidden.pk}/backtest/").status_code == 403
