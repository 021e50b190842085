"""Bodies and filters of actions that are wrong in every way: refused by field, nothing started."""

from datetime import timedelta

import pytest
from django.utils import timezone

from core.workflows.models import WorkflowExecution
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
TAG = ("add_tag", {"tag": "seen"})
RETRY = "/api/v1/executions/bulk_retry/"


def issues(answer):
    assert answer.status_code == 400, answer.json()
    return sorted((e["field"], e["code"]) for e in answer.json()["errors"])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [("", "required")]),
        (None, [("", "required")]),
        ({"workflow": None, "status": None}, [("", "required")]),
        ([], [("", "not_an_object")]),
        ({"workflow": "x"}, [("workflow", "invalid")]),
        ({"workflow": [1]}, [("workflow", "invalid")]),
        ({"workflow": 2**63}, [("workflow", "max_value")]),
        ({"status": "completed"}, [("status", "invalid_choice")]),
        ({"created_after": "yesterday"}, [("created_after", "invalid")]),
        ({"colour": 1, "workflow": "x"}, [("colour", "unknown_field"), ("workflow", "invalid")]),
    ],
)
def test_a_bulk_retry_refuses_a_wrong_body_by_field(admin, body, expected):
    assert issues(admin.post(RETRY, body)) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"days": 0}, [("days", "min_value")]),
        ({"days": 91}, [("days", "max_value")]),
        ({"days": "many"}, [("days", "invalid")]),
        ({"weeks": 1}, [("weeks", "unknown_field")]),
    ],
)
def test_a_backtest_refuses_a_wrong_body_by_field(admin, make_workflow, body, expected):
    workflow = make_workflow([TAG])
    assert issues(admin.post(f"/api/v1/workflows/{workflow.pk}/backtest/", body)) == expected


@pytest.mark.parametrize("body", [{}, None, {"days": None}])
def test_a_backtest_looks_at_a_week_unless_it_is_given(admin, make_workflow, body):
    workflow = make_workflow([TAG])
    assert admin.post(f"/api/v1/workflows/{workflow.pk}/backtest/", body).json()["days"] == 7


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"lead_id": None}, "lead_id"),
        ({"lead_id": "x"}, "lead_id"),
        ({"lead_id": [1]}, "lead_id"),
        ({"lead_id": 0}, "lead_id"),
        ({"lead_ids": None}, "lead_ids"),
        ({"lead_ids": {"1": 1}}, "lead_ids"),
        ({"lead_ids": [None]}, "lead_ids"),
        ({"filter": None}, "filter"),
        ({"filter": "city"}, "filter"),
        ({"lead_id": 1, "company_id": 1}, "lead_id"),
        ([], ""),
    ],
)
def test_an_execution_refuses_a_wrong_body_by_field(admin, make_workflow, body, field):
    workflow = make_workflow([TAG], trigger="manual")
    answer = admin.post(f"/api/v1/workflows/{workflow.pk}/execute/", body)
    assert [name for name, _ in issues(answer)] == [field]
    assert WorkflowExecution.objects.count() == 0


def test_a_record_id_of_a_workflow_without_a_model_is_payload(admin, make_workflow):
    workflow = make_workflow([("stop", {})], trigger="manual", model=None)
    body = {"record_id": "abc", "note": "x"}
    assert admin.post(f"/api/v1/workflows/{workflow.pk}/execute/", body).status_code == 202
    run = WorkflowExecution.objects.get()
    assert (run.trigger_data, run.object_id) == (body, None)


@pytest.mark.parametrize("action", ["execute", "test"])
def test_a_record_that_the_user_does_not_see_is_not_found(api, make_user, make_workflow, action):
    manager = make_user("manager")
    workflow = make_workflow([TAG], trigger="manual", run_as=manager)
    hidden = LeadFactory(first_name="Ada")
    url = f"/api/v1/workflows/{workflow.pk}/{action}/"
    assert api(manager).post(url, {"lead_id": hidden.pk}).status_code == 404
    assert api(manager).post(url, {"record_id": hidden.pk}).status_code == 404
    assert WorkflowExecution.objects.count() == 0


def test_runs_are_filtered_alike_in_both_lists(admin, make_workflow):
    workflow, other = make_workflow([TAG], trigger="manual"), make_workflow([TAG], trigger="manual")
    lead = LeadFactory(first_name="Ada")
    for made in (workflow, other):
        admin.post(f"/api/v1/workflows/{made.pk}/execute/", {"lead_id": lead.pk})
    nested = f"/api/v1/workflows/{workflow.pk}/executions/"
    run = WorkflowExecution.objects.get(workflow=workflow)
    soon = (timezone.now() + timedelta(hours=1)).isoformat()
    for url in (nested, f"/api/v1/executions/?workflow={workflow.pk}"):
        join = "&" if "?" in url else "?"
        found = admin.get(url).json()
        assert (found["count"], [row["id"] for row in found["results"]]) == (1, [run.pk])
        assert admin.get(url + f"{join}created_before={soon}".replace("+", "%2B")).json()["count"] == 1
        assert admin.get(url + f"{join}created_after={soon}".replace("+", "%2B")).json()["count"] == 0
        assert admin.get(url + f"{join}status=failed").json()["count"] == 0
        assert issues(admin.get(url + f"{join}colour=red")) == [("colour", "unknown")]
        assert issues(admin.get(url + f"{join}created_after=soon")) == [("created_after", "invalid")]
        assert issues(admin.get(url + f"{join}ordering=error")) == [("ordering", "unknown")]
