"""The examples of the descriptions that this grew from, typed as printed there."""

import pytest
from django.core.management import call_command

from core.mail import sending as mailing
from core.mail.models import EmailMessage
from core.mail.tests.factories import EmailTemplateFactory
from core.notifications.models import Notification
from core.tasks import execute_workflow
from core.workflows import WorkflowEngine
from core.workflows.models import Workflow, WorkflowExecution
from core.workflows.tests.factories import WorkflowFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def welcome(db):
    return EmailTemplateFactory(
        key="welcome_email",
        name="Welcome",
        subject="Welcome, {{lead.first_name}}",
        text="Dear {{lead.first_name}}",
    )


@pytest.fixture
def guide(rep, welcome):
    return {
        "name": "Auto-assign leads from CA",
        "description": "Automatically assign leads from California to West Coast team",
        "trigger_type": "record_created",
        "trigger_conditions": {"model": "lead", "conditions": {"state": "CA"}},
        "actions": [
            {"type": "assign_record", "params": {"user_id": rep.pk}},
            {"type": "send_email", "params": {"template_id": "welcome_email", "to": "{{lead.email}}"}},
            {"type": "create_task", "params": {"title": "Follow up with {{lead.first_name}}", "due_days": 2}},
        ],
        "status": "active",
    }


def test_the_guides_workflow_assigns_mails_and_creates_the_task_once(admin, rep, guide, settle, mailbox):
    created = admin.post("/api/v1/workflows/", guide)
    assert created.status_code == 201, created.json()
    lead = admin.post(
        "/api/v1/leads/", {"first_name": "Grace", "email": "g@navy.example", "state": "CA"}
    ).json()
    admin.post("/api/v1/leads/", {"first_name": "Other", "email": "o@navy.example", "state": "NY"})
    settle()
    assert mailing.send_due() == 1
    runs = admin.get(f"/api/v1/workflows/{created.json()['id']}/executions/").json()["results"]
    assert [run["status"] for run in runs] == ["completed"]
    assert [(s["type"], s["status"]) for s in runs[0]["steps"]] == [
        ("assign_record", "completed"),
        ("send_email", "completed"),
        ("create_task", "completed"),
    ]
    assert admin.get(f"/api/v1/leads/{lead['id']}/").json()["assigned_to"] == rep.pk
    tasks = admin.get("/api/v1/tasks/", {"lead": lead["id"]}).json()["results"]
    assert [(t["title"], t["assigned_to"]) for t in tasks] == [("Follow up with Grace", rep.pk)]
    assert len(mailbox.messages) == 1
    recipients, content = mailbox.messages[0]
    assert recipients == ["g@navy.example"]
    assert "Subject: Welcome, Grace" in content
    assert f"Message-ID: <run-{runs[0]['id']}-1@" in content
    kinds = [e["kind"] for e in admin.get(f"/api/v1/leads/{lead['id']}/timeline/").json()["results"]]
    assert "email" in kinds


def test_the_guides_engine_example(admin_user, make_lead):
    workflow = WorkflowFactory(
        name="Test Workflow",
        trigger_type="record_created",
        actions=[{"type": "send_notification", "params": {"message": "New lead created!"}}],
        status="active",
    )
    lead = make_lead()
    run = WorkflowEngine.execute_workflow(workflow, {"lead_id": lead.pk})
    assert run.status == "completed"
    notified = Notification.objects.get(type="workflow")
    assert (notified.recipient, notified.title, notified.object_id) == (
        admin_user,
        "New lead created!",
        lead.pk,
    )


def test_the_guides_task(make_workflow, make_lead):
    lead = make_lead()
    workflow = make_workflow([("update_field", {"field": "priority", "value": "urgent"})], trigger="manual")
    run_id = execute_workflow(workflow.pk, {"lead_id": lead.pk})
    lead.refresh_from_db()
    assert lead.priority == "urgent"
    assert WorkflowExecution.objects.get(pk=run_id).status == "completed"


def test_a_refused_mail_is_tried_again_under_the_same_id_and_a_permanent_refusal_is_not(
    make_workflow, make_lead, settle, mailbox
):
    mail = {"subject": "Hi\r\nBcc: x@y.example", "body": "b", "to": ["a@x.example", "a@x.example"]}
    make_workflow([("send_email", mail)])
    make_lead()
    settle()
    mailbox.answers = ["451 try later"]
    mailing.send_due()
    row = EmailMessage.objects.get()
    assert (row.status, row.attempts, row.error) == ("queued", 1, "The mail server answered 451.")
    assert mailing.send_due() == 0, "not before its time"
    EmailMessage.objects.update(due_at="2020-01-01T00:00Z")
    mailing.send_due()
    row.refresh_from_db()
    assert (row.status, row.attempts, row.to) == ("sent", 2, ["a@x.example"])
    assert row.subject == "Hi Bcc: x@y.example"
    assert f"<{row.key}@" in mailbox.messages[0][1]
    EmailMessage.objects.update(status="queued", done=[], due_at="2020-01-01T00:00Z")
    mailbox.answers = ["554 never"]
    mailing.send_due()
    row.refresh_from_db()
    assert (row.status, row.error) == ("failed", "The mail server answered 554.")


@pytest.mark.django_db(transaction=True)  # beat's scheduler closes connections
def test_without_any_broker_one_command_does_it_all(admin, rep, guide, mailbox, settings):
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    admin.post("/api/v1/workflows/", guide)
    lead = admin.post(
        "/api/v1/leads/", {"first_name": "Grace", "email": "g@navy.example", "state": "CA"}
    ).json()
    call_command("run_automation", "--once")
    recipients = [m[0] for m in mailbox.messages]
    assert recipients.count(["g@navy.example"]) == 1
    assert [rep.email] in recipients, "told of the assignment"
    assert admin.get(f"/api/v1/leads/{lead['id']}/").json()["assigned_to"] == rep.pk


@pytest.mark.parametrize(
    "change",
    [
        {"trigger_type": "full_moon"},
        {"actions": [{"type": "format_disk", "params": {}}]},
        {"actions": []},
        {"actions": [{"type": "assign_record", "params": {}}]},
        {"actions": [{"type": "assign_record", "params": {"user_id": 999_999}}]},
        {"actions": [{"type": "update_field", "params": {"field": "no_such_field", "value": 1}}]},
        {"actions": [{"type": "update_field", "params": {"field": "lead_score", "value": 1}}]},
        {"actions": [{"type": "update_field", "params": {"field": "priority", "value": "biggest"}}]},
        {"actions": [{"type": "create_task", "params": {"title": "{{lead.first_name"}}]},
        {"actions": [{"type": "create_task", "params": {"title": "{{lead.owner.password}}"}}]},
        {"actions": [{"type": "create_task", "params": {"title": "x", "due_in": 2}}]},
        {"actions": [{"type": "send_email", "params": {"template_id": "nope", "to": "a@b.de"}}]},
        {"actions": [{"type": "send_email", "params": {"subject": "x", "body": "y", "to": "nobody"}}]},
        {"actions": [{"type": "webhook", "params": {"url": "http://169.254.169.254/latest/meta-data/"}}]},
        {"actions": [{"type": "webhook", "params": {"url": "file:///etc/passwd"}}]},
        {"actions": [{"type": "webhook", "params": {"url": "https://{{lead.company_name}}/x"}}]},
        {"actions": [{"type": "wait", "params": {}}]},
        {"actions": [{"type": "wait", "params": {"days": 9_999}}]},
        {"actions": [{"type": "branch", "params": {"conditions": {"nope": 1}, "then": []}}]},
        {"actions": [{"type": "create_record", "params": {"model": "user", "fields": {}}}]},
        {"actions": [{"type": "create_record", "params": {"model": "task", "fields": {}}}]},
        {"actions": [{"type": "send_notification", "params": {"message": "{% include 'x' %}"}}]},
        {"actions": "all"},
        {"actions": [["x"]]},
        {"trigger_conditions": {"model": "user", "conditions": {}}},
        {"trigger_conditions": {"model": "lead", "conditions": {"assigned_to__password__startswith": "a"}}},
        {"trigger_conditions": {"model": "lead", "conditions": {"state": ""}}},
        {"trigger_conditions": {"model": "lead", "nonsense": 1}},
        {"trigger_conditions": ["lead"]},
        {"trigger_type": "schedule", "trigger_conditions": {"cron": "61 * * * *"}},
        {"trigger_type": "schedule", "trigger_conditions": {}},
        {"trigger_type": "date_reached", "trigger_conditions": {"model": "lead", "field": "first_name"}},
        {"trigger_type": "field_changed", "trigger_conditions": {"model": "lead", "field": "nope"}},
        {"trigger_type": "score_crossed", "trigger_conditions": {"model": "task"}},
        {"status": "running"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_wrong_workflow_is_refused_when_saved(admin, guide, change):
    response = admin.post("/api/v1/workflows/", guide | change)
    assert response.status_code == 400, response.json()
    assert response.json()["errors"] or response.json()["detail"]
    assert Workflow.objects.count() == 0


def test_reps_neither_see_nor_write_automation(api, rep, guide):
    assert api(rep).post("/api/v1/workflows/", guide).status_code == 403
    assert api(rep).get("/api/v1/workflows/").status_code == 403
    assert Workflow.objects.count() == 0
