"""Definitions as they are saved: secrets under their masks; and what becomes of runs when a workflow is not
active any more."""

import pytest
from django.utils import timezone

from core.models import Workflow, WorkflowExecution
from core.outbound import sealing

pytestmark = pytest.mark.django_db(transaction=True)
MASK = "********"


@pytest.fixture(autouse=True)
def callable_host(settings):
    settings.CRM = {"OUTBOUND_ALLOWED_HOSTS": ["127.0.0.1:9"]}


def call(path, secret):
    return {"type": "webhook", "params": {"url": f"http://127.0.0.1:9/{path}", "secret": secret}}


@pytest.fixture
def saved(admin):
    def make(*actions):
        body = {"name": "Calls", "trigger_type": "record_created", "trigger_conditions": {"model": "lead"}}
        response = admin.post("/api/v1/workflows/", body | {"actions": list(actions)})
        assert response.status_code == 201, response.json()
        return response.json()

    return make


def stored():
    return [sealing.unseal(action["params"]["secret"]) for action in Workflow.objects.get().actions]


def test_two_secrets_that_come_back_masked_stay_where_they_were(saved, admin):
    made = saved(call("a", "first"), call("b", "second"))
    answer = admin.patch(f"/api/v1/workflows/{made['id']}/", {"actions": made["actions"]})
    assert (answer.status_code, stored()) == (200, ["first", "second"])


def test_masked_secrets_follow_their_actions(saved, admin):
    made = saved(call("a", "first"), call("b", "second"))
    admin.patch(f"/api/v1/workflows/{made['id']}/", {"actions": made["actions"][::-1]})
    assert stored() == ["second", "first"]
    admin.patch(f"/api/v1/workflows/{made['id']}/", {"actions": [call("b", MASK), call("new-a", MASK)]})
    assert stored() == ["second", "first"]


@pytest.mark.parametrize("secret", [MASK, "sealed:gAAA"])
def test_a_mask_of_nothing_and_what_looks_sealed_are_refused(admin, secret):
    body = {"name": "Calls", "trigger_type": "record_created", "trigger_conditions": {"model": "lead"}}
    answer = admin.post("/api/v1/workflows/", body | {"actions": [call("a", secret)]})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "actions")


def test_runs_of_a_workflow_that_became_a_draft_rest_until_it_is_active(
    make_workflow, make_lead, settle, admin
):
    workflow = make_workflow([("wait", {"days": 1}), ("add_tag", {"tag": "late"})])
    lead = make_lead()
    settle()
    admin.patch(f"/api/v1/workflows/{workflow.pk}/", {"status": "draft"})
    WorkflowExecution.objects.update(due_at=timezone.now())
    assert [(run.status, run.error) for run in settle()] == [("held", "The workflow is draft.")]
    lead.refresh_from_db()
    assert lead.tags == []
    admin.patch(f"/api/v1/workflows/{workflow.pk}/", {"status": "active"})
    assert [run.status for run in settle()] == ["completed"]
    lead.refresh_from_db()
    assert lead.tags == ["late"]
