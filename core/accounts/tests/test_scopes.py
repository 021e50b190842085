"""A key's scopes are asked for what is shown or done, whichever route leads to it."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from contacts.models import Company, Contact
from core.access import scopes
from core.accounts import keys
from core.activities.tests.factories import ActivityFactory, CommentFactory
from core.changes import audit_context, feed
from core.changes.models import Change
from core.entities import entities, writing
from core.lead_scoring.models import ScoringJob
from core.transfer.models import ExportJob, ImportJob
from core.webhooks.models import WebhookSubscription
from core.workflows.models import Workflow, WorkflowExecution
from lead_management.models import Lead
from opportunities.models import Opportunity
from opportunities.tests.factories import OpportunityContactFactory, OpportunityFactory
from tasks.models import CalendarFeed
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def key_of(bearing):
    """key_of(user, *scopes) → a client that sends a new key of the user."""

    def make(user, *scopes):
        return bearing(keys.make(user, "test", list(scopes))[1])

    return make


@pytest.fixture
def lead(admin_user):
    with audit_context(admin_user, source="api"):
        return writing.create_from_input(
            entities["lead"], {"first_name": "Ada", "email": "ada@x.example"}, admin_user
        )


def missing(response, *wanted):
    assert response.status_code == 403, response.content[:300]
    assert response.json()["type"] == "/problems/scope-missing"
    for scope in wanted:
        assert scope in response.json()["detail"]


def uploaded(text="first_name,phone\nAda,nonsense\n"):
    return SimpleUploadedFile("leads.csv", text.encode())


def test_what_a_user_without_a_key_does_is_bound_by_no_scope(admin_user):
    assert not scopes.is_limited(admin_user)
    assert scopes.covers(admin_user, "leads", writing=True)
    scopes.limit_to(admin_user, ["leads:read"])
    assert scopes.covers(admin_user, "leads")
    with pytest.raises(scopes.ScopeMissingError, match="leads:write and tasks:write"):
        scopes.require(admin_user, "leads", "tasks", writing=True)


def test_an_export_takes_reading_what_is_exported(admin_user, key_of, api, lead):
    body = {"resource": "leads"}
    missing(key_of(admin_user, "exports:write").post("/api/v1/exports/", body), "leads:read")
    assert not ExportJob.objects.exists()
    job = api(admin_user).post("/api/v1/exports/", body).json()["id"]
    ExportJob.objects.filter(pk=job).update(stored_as="exports/x.csv")
    missing(key_of(admin_user, "exports:read").get(f"/api/v1/exports/{job}/download/"), "leads:read")


def test_an_imports_rows_take_reading_what_was_imported_and_its_end_writing_it(admin_user, key_of, api):
    url = "/api/v1/import/leads/"
    job = api(admin_user).post(url, {"file": uploaded("first_name\nAda\n")}, format="multipart").json()["id"]
    reader, writer = key_of(admin_user, "imports:read"), key_of(admin_user, "imports:write", "leads:read")
    for path in ("", "issues/", "errors.csv"):
        missing(reader.get(f"/api/v1/imports/{job}/{path}"), "leads:read")
        assert writer.get(f"/api/v1/imports/{job}/{path}").status_code == 200
    missing(writer.post(f"/api/v1/imports/{job}/undo/"), "leads:write")
    missing(writer.post(f"/api/v1/imports/{job}/cancel/"), "leads:write")
    assert (Lead.objects.count(), ImportJob.objects.count()) == (1, 1)


def test_an_import_that_makes_companies_takes_writing_them(admin_user, key_of):
    sent = {"file": uploaded("first_name,company\nAda,Engines\n"), "create_missing": "true"}
    url = "/api/v1/import/contacts/"
    missing(key_of(admin_user, "contacts:write").post(url, sent, format="multipart"), "companies:write")
    assert (Company.objects.count(), Contact.objects.count()) == (0, 0)
    sent["file"].seek(0)
    both = key_of(admin_user, "contacts:write", "companies:write")
    assert both.post(url, sent, format="multipart").json()["created"] == 1


def test_a_timeline_shows_the_kinds_that_are_covered(admin_user, key_of, lead):
    about = {"entity": "lead", "object_id": lead.pk}
    CommentFactory(**about, body="secret", author=admin_user)
    ActivityFactory(**about, type="call", subject="secret", author=admin_user)
    TaskFactory(title="secret", lead=lead, owner=admin_user, created_by=admin_user)
    url = f"/api/v1/leads/{lead.pk}/timeline/"

    def kinds(*held):
        return {entry["kind"] for entry in key_of(admin_user, *held).get(url).json()["results"]}

    assert kinds("leads:read") == {"change"}
    assert kinds("leads:read", "comments:read") == {"change", "comment"}
    assert kinds("leads:read", "tasks:read", "activities:read") == {"change", "task", "activity"}
    assert kinds("read") == {"change", "comment", "task", "activity"}
    missing(key_of(admin_user, "leads:read").get(f"{url}?kind=comment"), "comments:read")


def test_what_is_expanded_takes_reading_it(admin_user, key_of, lead):
    task = TaskFactory(title="Call", lead=lead, owner=admin_user)
    client = key_of(admin_user, "tasks:read")
    for url in ("/api/v1/tasks/?expand=lead", f"/api/v1/tasks/{task.pk}/?expand=lead"):
        missing(client.get(url), "leads:read")
    missing(client.get("/api/v1/tasks/?expand=assigned_to"), "users:read")
    both = key_of(admin_user, "tasks:read", "leads:read")
    assert both.get(f"/api/v1/tasks/{task.pk}/?expand=lead").json()["lead"]["name"] == "Ada"


@pytest.mark.django_db(transaction=True)  # the feed waits for the end of every transaction
def test_the_change_feed_shows_what_is_covered(admin_user, key_of, lead):
    with audit_context(admin_user, source="api"):
        writing.create_from_input(entities["task"], {"title": "Call"}, admin_user)
        ActivityFactory(record=lead)

    def seen(*held):
        results = key_of(admin_user, *held).get("/api/v1/changes/").json()["results"]
        return {change["entity"] for change in results}

    assert seen("changes:read") == set()
    assert seen("changes:read", "tasks:read") == {"task"}
    assert seen("changes:read", "leads:read", "tasks:read") == {"lead", "task"}
    assert seen("changes:read", "activities:read") == {"activity"}
    assert seen("read") >= {"lead", "task", "user"}


WORKFLOW = {
    "name": "Tag",
    "status": "active",
    "trigger_type": "record_created",
    "trigger_conditions": {"model": "lead"},
    "actions": [{"type": "add_tag", "params": {"tag": "x"}}],
}


@pytest.mark.parametrize(
    ("action", "scope"),
    [
        ({"type": "add_tag", "params": {"tag": "x"}}, "leads:write"),
        ({"type": "update_field", "params": {"field": "city", "value": "x"}}, "leads:write"),
        ({"type": "add_comment", "params": {"body": "x"}}, "comments:write"),
        ({"type": "create_task", "params": {"title": "x"}}, "tasks:write"),
        (
            {"type": "create_record", "params": {"model": "company", "fields": {"name": "x"}}},
            "companies:write",
        ),
        ({"type": "convert_lead", "params": {}}, "opportunities:write"),
        (
            {
                "type": "branch",
                "params": {
                    "conditions": {"city": "x"},
                    "then": [{"type": "create_task", "params": {"title": "x"}}],
                },
            },
            "tasks:write",
        ),
    ],
)
def test_a_workflow_takes_writing_what_its_actions_write(admin_user, key_of, action, scope):
    body = WORKFLOW | {"actions": [action]}
    missing(key_of(admin_user, "workflows:write", "leads:read").post("/api/v1/workflows/", body), scope)
    assert not Workflow.objects.exists()


def test_a_workflow_takes_reading_what_it_is_about(admin_user, key_of):
    body = WORKFLOW | {"actions": [{"type": "send_notification", "params": {"message": "{{ lead.email }}"}}]}
    missing(key_of(admin_user, "workflows:write").post("/api/v1/workflows/", body), "leads:read")
    assert not Workflow.objects.exists()


def test_a_key_starts_no_workflow_that_does_what_it_may_not(admin_user, key_of, lead):
    everything = key_of(admin_user, "write")
    made = everything.post("/api/v1/workflows/", WORKFLOW).json()["id"]
    url, client = f"/api/v1/workflows/{made}/", key_of(admin_user, "workflows:write", "leads:read")
    before = WorkflowExecution.objects.count()
    missing(client.post(f"{url}execute/", {"lead_id": lead.pk}), "leads:write")
    missing(client.patch(url, {"status": "active"}), "leads:write")
    missing(client.post(f"{url}resume/"), "leads:write")
    missing(key_of(admin_user, "workflows:write").post(f"{url}test/", {"lead_id": lead.pk}), "leads:read")
    assert WorkflowExecution.objects.count() == before
    run = everything.post(f"{url}execute/", {"lead_id": lead.pk}).json()["execution_id"]
    WorkflowExecution.objects.filter(pk=run).update(status="failed")
    runner = key_of(admin_user, "executions:write", "leads:read")
    for verb in ("retry", "rerun"):
        missing(runner.post(f"/api/v1/executions/{run}/{verb}/"), "leads:write")
    missing(runner.post("/api/v1/executions/bulk_retry/", {"workflow": made}), "leads:write")
    assert key_of(admin_user, "executions:read").get("/api/v1/executions/").json()["count"] == 0
    assert runner.get("/api/v1/executions/").json()["count"] == before + 1
    assert WorkflowExecution.objects.get(pk=run).status == "failed"


def test_a_webhook_takes_reading_what_it_sends(admin_user, key_of):
    body = {"name": "x", "url": "https://example.com/", "events": ["lead.created", "task.created"]}
    client = key_of(admin_user, "webhooks:write", "leads:read")
    missing(client.post("/api/v1/webhooks/", body), "tasks:read")
    assert not WebhookSubscription.objects.exists()


def test_a_calendar_takes_reading_tasks(rep, key_of):
    missing(key_of(rep, "calendar:write").post("/api/v1/calendar/"), "tasks:read")
    assert not CalendarFeed.objects.exists()


def test_a_score_takes_reading_leads(admin_user, key_of, lead):
    client = key_of(admin_user, "scoring:write")
    missing(client.get(f"/api/v1/scoring/{lead.pk}/"), "leads:read")
    missing(client.post("/api/v1/scoring/", {"action": "score", "lead_id": lead.pk}), "leads:read")


def test_many_scores_take_reading_what_is_scored_and_what_the_filter_asks(admin_user, key_of):
    body = {"action": "bulk_score", "entity": "opportunity", "filter": {"company.industry": "Software"}}
    url = "/api/v1/scoring/"
    missing(key_of(admin_user, "scoring:write").post(url, body), "opportunities:read")
    missing(key_of(admin_user, "scoring:write", "opportunities:read").post(url, body), "companies:read")
    assert not ScoringJob.objects.exists()


def test_changes_of_a_deals_contacts_take_reading_both(admin_user):
    deal = OpportunityFactory(owner=admin_user)
    with audit_context(admin_user, source="api"):
        OpportunityContactFactory(opportunity=deal)

    def shown(*held):
        scopes.limit_to(admin_user, held)
        return set(feed.visible(Change.objects.all(), admin_user).values_list("entity", flat=True))

    assert "opportunity_contact" not in shown("changes:read", "opportunities:read")
    assert "opportunity_contact" in shown("changes:read", "opportunities:read", "contacts:read")


def test_a_conversion_takes_writing_what_it_makes(admin_user, key_of, lead):
    before = Change.objects.count()
    refused = key_of(admin_user, "leads:write").post(f"/api/v1/leads/{lead.pk}/convert/")
    missing(refused, "contacts:write", "companies:write", "opportunities:write")
    assert Change.objects.exclude(entity="api_key").count() == before
    assert (Contact.objects.count(), Opportunity.objects.count()) == (0, 0)
    assert key_of(admin_user, "write").post(f"/api/v1/leads/{lead.pk}/convert/").status_code == 200
