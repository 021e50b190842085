"""Workflows without a model, and runs by hand: on one record, on several, on those of a filter."""

import pytest

from contacts.tests.factories import CompanyFactory
from core.notifications.models import Notification
from core.workflows import sweeps
from core.workflows.models import Workflow, WorkflowExecution
from core.workflows.tests.factories import WorkflowFactory
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
TAG = ("add_tag", {"tag": "seen"})


@pytest.fixture
def shell_workflow(db):
    """As the guide makes one in a shell."""
    return WorkflowFactory(
        name="Test Workflow",
        trigger_type="record_created",
        actions=[{"type": "send_notification", "params": {"message": "New: {{ record.id }}"}}],
        status="active",
    )


def test_a_workflow_without_a_model_fires_for_records_of_every_entity(shell_workflow, make_lead, settle):
    lead = make_lead()
    company = CompanyFactory(name="Acme")
    runs = settle()
    assert [(run.entity, run.object_id, run.status) for run in runs] == [
        ("lead", lead.pk, "completed"),
        ("company", company.pk, "completed"),
    ]
    notified = Notification.objects.filter(type="workflow").order_by("id")
    assert [(n.title, n.entity, n.object_id) for n in notified] == [
        (f"New: {lead.pk}", "lead", lead.pk),
        (f"New: {company.pk}", "company", company.pk),
    ]


def test_a_trigger_of_one_entity_without_a_model_fires_for_that_entity_alone(admin_user, change, settle):
    WorkflowFactory(
        name="Stages", trigger_type="status_changed", status="active", run_as=admin_user,
        actions=[{"type": "add_tag", "params": {"tag": "moved"}}],
    )  # fmt: skip
    lead = LeadFactory(first_name="Ada")
    company = CompanyFactory(name="Acme")
    settle()
    change(lead, status="contacted")
    change(company, name="Acme II")
    assert [(run.entity, run.object_id) for run in settle()] == [("lead", lead.pk)]
    assert Notification.objects.filter(type="workflow_failed").count() == 0


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"trigger_type": "record_created", "trigger_conditions": {"model": "leed"}},
            "There is no model 'leed'",
        ),
        ({"trigger_type": "date_reached", "trigger_conditions": {"field": "due_date"}}, "needs a model"),
    ],
)
def test_what_can_never_fire_says_why(admin_user, fields, reason):
    made = WorkflowFactory(
        name="Dead", status="active", created_by=admin_user, actions=[{"type": "stop"}], **fields
    )
    sweeps.sweep()
    sweeps.sweep()
    notified = Notification.objects.get(recipient=admin_user, type="workflow_failed")
    assert notified.title == f"Workflow broken: {made.name}"
    assert reason in notified.body


# -- execute/


def execute(client, workflow, **body):
    return client.post(f"/api/v1/workflows/{workflow.pk}/execute/", body)


def test_execute_without_a_record_names_what_to_send(admin, make_workflow, shell_workflow):
    about_leads = make_workflow([TAG])
    answer = execute(admin, about_leads)
    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        {"field": "lead_id", "code": "required", "message": 'Name the record to run it on: {"lead_id": …}.'}
    ]
    assert '{"lead_id": …} or ' in execute(admin, shell_workflow).json()["errors"][0]["message"]
    free = make_workflow([("stop", {})], trigger="manual", model=None)
    assert execute(admin, free, note="x").status_code == 202
    assert WorkflowExecution.objects.count() == 1


def test_execute_runs_on_each_of_the_records_named(admin, admin_user, make_workflow, make_lead, settle):
    workflow = make_workflow([TAG], trigger="manual")
    first, second, third = (make_lead(email=f"{n}@x.example") for n in range(3))
    answer = execute(admin, workflow, lead_ids=[second.pk, first.pk, second.pk], note="why")
    assert answer.status_code == 202
    runs = list(WorkflowExecution.objects.order_by("id"))
    assert answer.json() == {"success": True, "started": 2, "execution_ids": [run.pk for run in runs]}
    assert [(r.object_id, r.trigger_data, r.requested_by_id) for r in runs] == [
        (second.pk, {"note": "why", "lead_id": second.pk}, admin_user.pk),
        (first.pk, {"note": "why", "lead_id": first.pk}, admin_user.pk),
    ]
    assert {run.status for run in settle()} == {"completed"}
    assert set(Lead.objects.filter(tags__contains=["seen"])) == {first, second}
    third.refresh_from_db()
    assert third.tags == []


def test_execute_runs_on_what_a_filter_names(admin, make_workflow, make_lead):
    workflow = make_workflow([TAG], trigger="manual")
    oslo = make_lead(city="Oslo")
    make_lead(city="Rome", email="r@x.example")
    assert execute(admin, workflow, filter={"city": "Oslo"}).json()["started"] == 1
    assert WorkflowExecution.objects.get().object_id == oslo.pk


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"lead_ids": []}, "lead_ids", "not_a_list"),
        ({"lead_ids": "all"}, "lead_ids", "not_a_list"),
        ({"lead_ids": [999_999]}, "lead_ids[0]", "does_not_exist"),
        ({"contact_ids": [1]}, "contact_ids", "wrong_model"),
        ({"filter": {}}, "filter", "blank"),
        ({"filter": {"nope": 1}}, "filter.nope", "unknown_field"),
        ({"lead_ids": [1], "lead_id": 1}, "lead_id", "given_twice"),
        ({"filter": {"city": "x"}, "lead_ids": [1]}, "filter", "given_twice"),
    ],
)
def test_what_execute_cannot_honour_is_refused(admin, make_workflow, body, field, code):
    answer = execute(admin, make_workflow([TAG], trigger="manual"), **body)
    assert answer.status_code == 400
    assert [(e["field"], e["code"]) for e in answer.json()["errors"]] == [(field, code)]
    assert WorkflowExecution.objects.count() == 0


def test_records_beyond_the_askers_reach_are_not_run_on(api, make_user, make_workflow, make_lead):
    manager = make_user("manager")
    workflow = make_workflow([TAG], trigger="manual", run_as=manager)
    hidden = make_lead(city="Oslo")
    client = api(manager)
    assert execute(client, workflow, lead_ids=[hidden.pk]).status_code == 400
    assert execute(client, workflow, filter={"city": "Oslo"}).json()["started"] == 0
    assert WorkflowExecution.objects.count() == 0


# -- names


def test_a_change_is_read_as_it_was_and_the_record_as_it_is(make_workflow, make_lead, change, settle):
    lead = make_lead(city="Oslo")
    settle()
    notified = (
        "{{ change.old.city }} > {{ change.new.city }}, {{ change.new.first_name }}, now {{ lead.city }}"
    )
    make_workflow([("add_comment", {"body": notified})], trigger="field_changed", settings={"field": "city"})
    make_workflow([("add_comment", {"body": "was {{ change.new.city }}"})], trigger="record_restored")
    change(lead, city="Rome")
    change(lead, city="Bonn", first_name="G.")
    from core.activities.models import Comment

    settle()
    assert list(Comment.objects.order_by("id").values_list("body", flat=True)) == [
        "Oslo > Rome, Grace, now Bonn",
        "Rome > Bonn, G., now Bonn",
    ]


def test_a_creation_is_read_as_it_was(make_workflow, make_lead, change, settle):
    from core.activities.models import Comment

    make_workflow([("add_comment", {"body": "{{ change.new.city }}, now {{ lead.city }}"})])
    lead = make_lead(city="Oslo")
    change(lead, city="Rome")
    settle()
    assert Comment.objects.get().body == "Oslo, now Rome"


@pytest.mark.parametrize(
    "template",
    ["{{ lead.assigned_to.full_name }}", "{{ assigned_to.full_name }}", "{{ record.assigned_to.full_name }}"],
)
def test_a_person_is_called_the_same_everywhere(admin, make_workflow, make_lead, make_user, settle, template):
    nameless = make_user("rep", username="lin")
    lead = make_lead(assigned_to=nameless.pk)
    settle()
    body = {
        "name": "Names", "trigger_type": "manual", "status": "active",
        "trigger_conditions": {"model": "lead", "conditions": {"assigned_to.full_name": "lin"}},
        "actions": [{"type": "update_field", "params": {"field": "city", "value": template}}],
    }  # fmt: skip
    made = admin.post("/api/v1/workflows/", body)
    assert made.status_code == 201, made.json()
    execute(admin, Workflow.objects.get(pk=made.json()["id"]), lead_id=lead.pk)
    settle()
    lead.refresh_from_db()
    assert lead.city == "lin"
    admin.post("/api/v1/comments/", {"lead": lead.pk, "body": "hello"})
    by_history = admin.get(f"/api/v1/leads/{lead.pk}/history/").json()["results"][-1]["actor"]["full_name"]
    by_comment = admin.get("/api/v1/comments/", {"lead": lead.pk}).json()["results"][0]["author"]["full_name"]
    assert by_history == by_comment != ""


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ({"owner.full_name": "Ada Byron"}, 1),
        ({"owner.first_name": "Ada"}, 1),
        ({"field": "owner.last_name", "op": "starts_with", "value": "by"}, 1),
        ({"field": "assigned_to.full_name", "op": "is_empty"}, 2),
        ({"not": {"owner.full_name": "Ada Byron"}}, 1),
    ],
)
def test_conditions_know_people_by_name(admin, make_user, condition, found):
    ada = make_user("rep", first_name="Ada", last_name="Byron")
    LeadFactory(first_name="x", owner=ada)
    LeadFactory(first_name="y", owner=make_user("rep"))
    import json

    answer = admin.get("/api/v1/leads/", {"conditions": json.dumps(condition)})
    assert (answer.status_code, len(answer.json().get("results", []))) == (200, found), answer.json()


def test_conditions_know_no_addresses_of_colleagues(admin):
    answer = admin.get("/api/v1/leads/", {"conditions": '{"owner.email": "a@b.example"}'})
    assert answer.status_code == 400


def test_messages_of_one_workflow_become_one_line(make_workflow, make_lead, admin_user, settle):
    workflow = make_workflow(
        [("send_notification", {"message": "New lead {{lead.city}}", "to": "principal"})]
    )
    for number in range(11):
        make_lead(city=str(number), email=f"{number}@x.example")
    settle()
    notified = Notification.objects.filter(recipient=admin_user, type="workflow").order_by("id")
    assert [(n.title, n.count) for n in notified] == [
        ("New lead 0", 1),
        ("New lead 1", 1),
        ("New lead 2", 1),
        (f"8 more from the workflow '{workflow.name}'", 8),
    ]
    assert (notified[3].object_id, notified[3].body) == (None, ""), (
        "it says nothing of records one may not see"
    )


def test_once_read_a_workflows_messages_begin_anew(make_workflow, make_lead, admin_user, admin, settle):
    make_workflow([("send_notification", {"message": "New {{lead.city}}", "to": "principal"})])
    for number in range(4):
        make_lead(city=str(number), email=f"{number}@x.example")
    settle()
    admin.post("/api/v1/notifications/read_all/")
    make_lead(city="again", email="a@x.example")
    settle()
    unread = Notification.objects.filter(recipient=admin_user, type="workflow", read_at=None)
    assert [n.title for n in unread] == ["New again"]


def test_two_workflows_messages_are_counted_apart(make_workflow, make_lead, settle):
    for name in ("One", "Two"):
        make_workflow([("send_notification", {"message": name, "to": "principal"})], name=name)
    for number in range(3):
        make_lead(email=f"{number}@x.example")
    settle()
    assert Notification.objects.filter(type="workflow", count=1).count() == 6
