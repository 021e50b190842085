"""Automation in the admin site: shown in sentences, paused, resumed and tried, runs with their steps."""

import pytest

from core.accounts.tests.factories import UserFactory
from core.workflows.models import Workflow, WorkflowExecution

pytestmark = pytest.mark.django_db
PAGES = (
    "workflow",
    "workflowexecution",
    "emailtemplate",
    "emailmessage",
    "webhooksubscription",
    "webhookdelivery",
)
SENT = {"verb_sent": "1"}


@pytest.fixture
def boss(client, admin_user):
    admin_user.is_staff = True
    admin_user.save()
    client.force_login(admin_user)
    return admin_user


def page(row, below="change"):
    return f"/admin/core/{row._meta.model_name}/{row.pk}/{below}/"


def test_administrators_look_at_automation(client, boss, make_workflow, make_lead, settle):
    workflow = make_workflow([("add_tag", {"tag": "x"})])
    make_lead()
    run = settle()[0]
    for name in PAGES:
        assert client.get(f"/admin/core/{name}/").status_code == 200, name
    shown = client.get(page(workflow))
    assert [str(one) for one in shown.context["sentences"]][-1] == "Then add tags to the record Tag: x"
    assert [one["title"] for one in shown.context["runs"]] == [f"Run {run.pk}"]
    shown = client.get(page(run))
    assert [(one["type"], one["status"]) for one in shown.context["steps"]] == [("add_tag", "completed")]
    assert client.get("/admin/core/workflow/add/").status_code == 200
    assert client.post(page(workflow), {"status": "paused"}).status_code == 403


def test_a_workflow_is_paused_and_resumed_after_being_asked(client, boss, make_workflow):
    workflow = make_workflow([("add_tag", {"tag": "x"})])
    assert client.get(page(workflow, "pause")).status_code == 200
    workflow.refresh_from_db()
    assert workflow.status == "active"
    assert client.post(page(workflow, "pause"), SENT).headers["location"] == page(workflow)
    workflow.refresh_from_db()
    assert workflow.status == "paused"
    run = WorkflowExecution.objects.create(
        workflow=workflow, version=workflow.versions.get(), event_key="x", status="held"
    )
    client.post(page(workflow, "resume"), SENT)
    workflow.refresh_from_db()
    run.refresh_from_db()
    assert (workflow.status, run.status) == ("active", "queued")


def test_a_failed_run_goes_on_by_a_button(client, boss, make_workflow):
    workflow = make_workflow([("add_tag", {"tag": "x"})])
    run = WorkflowExecution.objects.create(
        workflow=workflow, version=workflow.versions.get(), event_key="x", status="failed", error="no luck"
    )
    assert "no luck" in client.get(page(run)).content.decode()
    client.post(page(run, "retry"), SENT)
    run.refresh_from_db()
    assert (run.status, run.error) == ("queued", "")
    client.post(page(run, "cancel"), SENT)
    run.refresh_from_db()
    assert run.status == "cancelled"
    client.post(page(run, "rerun"), SENT)
    again = WorkflowExecution.objects.get(retry_of_id=run.pk)
    assert [one["url"] for one in client.get(page(run)).context["after"]] == [page(again)]


def test_a_workflow_is_tried_on_a_record_and_writes_nothing(client, boss, make_workflow, make_lead):
    workflow = make_workflow([("add_tag", {"tag": "x"})], conditions={"city": "Oslo"})
    lead = make_lead(city="Turin")
    sent = {**SENT, "entity": "lead", "record": lead.pk}
    shown = client.post(page(workflow, "try"), sent).context["result"]
    assert shown["would_run"] is False
    assert [(one["words"], one["met"]) for one in shown["conditions"]] == [("City is Oslo", False)]
    assert [(one["type"], one["place"], one["shown"]) for one in shown["actions"]] == [
        ("add_tag", "1", [("Tag", "x")])
    ]
    lead.refresh_from_db()
    assert lead.tags == []
    answer = client.post(page(workflow, "try"), sent | {"record": lead.pk + 1_000})
    assert answer.context["form"].errors == {"record": ["There is no such record that you see."]}


def test_versions_stand_beside_those_before(client, boss, make_workflow):
    workflow = make_workflow([("add_tag", {"tag": "old"})])
    workflow.actions = [{"type": "add_tag", "params": {"tag": "new"}}]
    workflow.save()
    shown = client.get(page(workflow, "versions"))
    newest = shown.context["versions"][0]
    assert [(one.change, one.sentence.details) for one in newest[2]][-2:] == [
        ("removed", ("Tag: old",)),
        ("added", ("Tag: new",)),
    ]


def test_managers_operate_what_acts_as_their_own_people_and_reps_nothing(client, make_workflow):
    manager, rep = UserFactory(role="manager", is_staff=True), UserFactory(role="rep", is_staff=True)
    theirs = make_workflow([("add_tag", {"tag": "x"})])
    own = make_workflow([("add_tag", {"tag": "x"})])
    Workflow.objects.filter(pk=own.pk).update(run_as=manager)
    Workflow.objects.filter(pk=theirs.pk).update(run_as=None)
    client.force_login(manager)
    assert client.get(page(own)).status_code == 200
    assert client.post(page(theirs, "pause"), SENT).status_code in (302, 403, 404)
    client.post(page(own, "pause"), SENT)
    client.force_login(rep)
    assert client.post(page(theirs, "pause"), SENT).status_code in (302, 403, 404)
    assert client.get("/admin/core/workflow/").status_code == 403
    assert dict(Workflow.objects.values_list("pk", "status")) == {own.pk: "paused", theirs.pk: "active"}


def test_a_run_shows_values_as_people_read_them(client, boss, make_workflow):
    workflow = make_workflow([("add_tag", {"tag": "x"})])
    run = WorkflowExecution.objects.create(
        workflow=workflow,
        version=workflow.versions.get(),
        event_key="x",
        trigger_data={"urgent": True, "note": None, "lines": [{"name": "A", "paid": False}]},
    )
    shown = client.get(page(run))
    assert shown.context["payload"] == [("Lines", "name: A, paid: no"), ("Note", "–"), ("Urgent", "yes")]  # noqa: RUF001
