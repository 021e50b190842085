"""Definitions as they are saved: secrets under their masks; and what becomes of runs when a workflow is not
active any more."""

import pytest
from django.utils import timezone

from core.outbound import sealing, signing
from core.workflows import inbound
from core.workflows.models import Workflow, WorkflowExecution

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


NUL, HUGE = "a\x00b", 10**30
BEYOND = "{{ 99999999999 | times: 99999999999 }}"


@pytest.mark.parametrize("value", [NUL, {NUL: 1}, HUGE, 1e300, [{"n": -HUGE}]])
def test_what_cannot_be_kept_is_refused_where_free_json_is_taken(admin, make_workflow, make_lead, value):
    body = {"name": "Calls", "trigger_type": "record_created", "trigger_conditions": {"model": "lead"}}
    action = {"type": "webhook", "params": {"url": "http://127.0.0.1:9/x", "body": {"x": value}}}
    answer = admin.post("/api/v1/workflows/", body | {"actions": [action]}, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "actions")
    manual = make_workflow([("add_tag", {"tag": "x"})], trigger="manual")
    data = {"lead_id": make_lead().pk, "x": value}
    answer = admin.post(f"/api/v1/workflows/{manual.pk}/execute/", data, format="json")
    assert (answer.status_code, WorkflowExecution.objects.count()) == (400, 0)


def test_a_signed_call_with_what_cannot_be_kept_is_refused(make_workflow, client):
    workflow = make_workflow([("stop", {})], trigger="inbound_webhook", model="")
    secret = inbound.new_secret(workflow)
    for body in (
        b'{"x": "\\u0000"}',
        b'{"x": 1e300}',
        b'{"x": 10000000000000000000000}',
        b"[" * 70 + b"]" * 70,
    ):
        named = {
            f"HTTP_{k.upper().replace('-', '_')}": v for k, v in signing.headers([secret], "m", body).items()
        }
        answer = client.post(f"/api/v1/hooks/{workflow.hook_key}/", body, "application/json", **named)
        assert (answer.status_code, WorkflowExecution.objects.count()) == (400, 0)


def test_a_huge_number_that_sql_stored_spoils_no_list(make_workflow, make_lead, settle, admin):
    make_workflow([("webhook", {"url": "http://127.0.0.1:9/x", "body": {"n": HUGE}})])
    make_lead()
    assert [run.status for run in settle()] == ["completed"]
    shown = admin.get("/api/v1/executions/").json()["results"][0]
    assert shown["steps"][0]["input"]["body"] == {"n": str(HUGE)}
    listed = admin.get("/api/v1/workflows/").json()["results"][0]
    assert listed["actions"][0]["params"]["body"] == {"n": 1e30}


@pytest.mark.parametrize(
    ("action", "error"),
    [
        (("wait", {"days": "{{payload.days}}"}), "no_date"),
        (("wait", {"until": "{{payload.until}}"}), "no_date"),
        (("assign_record", {"user_id": "{{payload.user}}"}), "nobody"),
        (("add_comment", {"body": "{{payload.text}}"}), "invalid"),
        (("webhook", {"url": "http://127.0.0.1:9/x", "body": {"n": BEYOND}}), "bad_template"),
    ],
)
def test_a_template_that_finds_nothing_ends_the_run_with_its_reason(
    make_workflow, make_lead, settle, action, error
):
    make_workflow([action])
    make_lead()
    assert [(run.status, run.error_code) for run in settle()] == [("failed", error)]


BEHIND = "converted_company.industry"


@pytest.mark.parametrize(
    "match",
    [
        "email",
        5,
        [],
        {},
        {"nofield": "{{payload.x}}"},
        {"email": "{{oops.x}}"},
        {"field": BEHIND, "value": "{{payload.x}}"},
        {"all": [{"email": "{{payload.x}}"}, {BEHIND: "{{payload.x}}"}]},
        {"not": {"any": [{"field": BEHIND, "op": "eq", "value": "{{payload.x}}"}]}},
    ],
)
def test_a_match_that_can_find_nothing_is_refused_when_saved(admin, match):
    given = {"model": "lead", "match": match}
    body = {"name": "In", "trigger_type": "inbound_webhook", "trigger_conditions": given}
    answer = admin.post("/api/v1/workflows/", body | {"actions": [{"type": "stop"}]}, format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"].startswith("trigger_conditions.match")


def test_long_ids_of_signed_calls_are_distinguished_by_their_ends(make_workflow, client):
    workflow = make_workflow([("stop", {})], trigger="inbound_webhook", model="")
    secret = inbound.new_secret(workflow)
    for message in ("m" * 150 + "1", "m" * 150 + "2", "m" * 150 + "1"):
        signed = signing.headers([secret], message, b"{}")
        named = {f"HTTP_{k.upper().replace('-', '_')}": v for k, v in signed.items()}
        answer = client.post(f"/api/v1/hooks/{workflow.hook_key}/", b"{}", "application/json", **named)
        assert answer.status_code == 202
    assert WorkflowExecution.objects.count() == 2


def test_a_call_that_is_too_long_is_notified_so(make_workflow, client):
    workflow = make_workflow([("stop", {})], trigger="inbound_webhook", model="")
    secret, body = inbound.new_secret(workflow), b'"' + b"x" * inbound.MAX_BODY + b'"'
    named = {
        f"HTTP_{k.upper().replace('-', '_')}": v for k, v in signing.headers([secret], "m", body).items()
    }
    answer = client.post(f"/api/v1/hooks/{workflow.hook_key}/", body, "application/json", **named)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "max_length")


def test_who_wrote_a_workflow_sees_nothing_of_it_once_it_acts_as_somebody_beyond_reach(
    make_workflow, make_lead, make_user, api, admin_user, settle
):
    manager = make_user("manager")
    mail = ("send_email", {"subject": "New", "body": "{{lead.first_name}}", "to": "{{lead.email}}"})
    workflow = make_workflow([mail], created_by=manager, run_as=admin_user)
    make_lead(first_name="Hidden")
    assert [run.status for run in settle()] == ["completed"]
    client, address = api(manager), f"/api/v1/workflows/{workflow.pk}/"
    assert client.get(address).status_code == 404
    assert client.post(f"{address}backtest/", {}).status_code == 404
    assert client.get("/api/v1/executions/").json()["results"] == []
    workflow.run_as = manager
    workflow.save()
    assert client.get(address).status_code == 200
