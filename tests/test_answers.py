"""Answers to the main writes and to every GET are as the OpenAPI document says."""

import json
import re
from dataclasses import replace

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command

from core.changes import timeline
from core.changes.dispatch import dispatch
from core.mail.tests.factories import EmailMessageFactory
from core.workflows.models import WorkflowExecution, WorkflowStep, WorkflowVersion
from core.workflows.tests.factories import WorkflowFactory
from tests.document import Document, Exchange

pytestmark = pytest.mark.django_db
# What no list of ids leads to, or what no JSON is.
LEFT_OUT = re.compile(r"/api/v1/(export/|import/|calendar/\{)|/api/schema/")


@pytest.fixture(scope="module")
def document():
    return Document()


@pytest.fixture
def populated():
    """Records of every entity with what hangs on them."""
    call_command("seed_demo", leads=20, force=True, verbosity=0)
    dispatch()


def exchange(response):
    request = response.wsgi_request
    return Exchange(
        request.method,
        request.get_full_path(),
        response.status_code,
        response.headers.get("Content-Type", ""),
        b"".join(response.streaming_content).decode() if response.streaming else response.content.decode(),
    )


def walk(client, document):
    """Lists first, then what is below an id, with the first ids that the lists named."""
    paths = [p for p, method, _ in document.operations() if method == "get" and not LEFT_OUT.match(p)]
    ids = {}
    for path in sorted(paths, key=lambda path: (path.count("{"), path)):
        for pk in ids.get(path.partition("{")[0], []) if "{" in path else [""]:
            made = exchange(client.get(re.sub(r"\{\w+\}", str(pk), path)))
            yield path, made
            if "{" not in path and made.content_type == "application/json":
                ids[path] = found_ids(made)


def found_ids(made):
    body = json.loads(made.body)
    rows = body.get("results", []) if isinstance(body, dict) else body
    return [row["id"] for row in rows if isinstance(row, dict) and "id" in row][:3]


# What is written before the GETs, so that there is something of each; and what goes wrong.
LEAD = {"first_name": "Ada", "email": "ada@engines.example", "phone": "12"}
FILE = b"First Name,Email\nZoe,zoe@shop.example\n,no address\n"


def writes(client):
    """The main writes with their answers, in the order in which one makes them."""
    lead = client.post("/api/v1/leads/", LEAD)
    yield lead
    address = f"/api/v1/leads/{lead.json()['id']}/"
    subject = {"lead": lead.json()["id"]}
    yield client.patch(address, {"status": "qualified"})
    yield client.patch(address, {"status": "no status"})
    yield client.patch(address, {"status": "new"}, headers={"If-Match": '"another"'})
    yield client.put(address, client.get(address).json())
    yield client.post(f"{address}follow/")
    yield client.post("/api/v1/activities/", {**subject, "type": "call", "subject": "Hello"})
    yield client.post("/api/v1/comments/", {**subject, "body": "Hello"})
    bulk = {"ids": [subject["lead"], 999_999], "action": "update", "data": {"priority": "high"}}
    yield client.post("/api/v1/leads/bulk_update/", bulk)
    yield client.post("/api/v1/leads/assign/", {"ids": [subject["lead"]], "assigned_to": 1})
    yield client.post(f"{address}convert/", {})
    yield client.post(f"{address}convert/", {})
    task = client.post("/api/v1/tasks/", {"title": "Call"})
    yield task
    yield client.post(f"/api/v1/tasks/{task.json()['id']}/complete/", {})
    bodies = {
        "contacts": {"first_name": "Ben"},
        "companies": {"name": "Acme"},
        "opportunities": {"name": "Deal"},
    }
    for plural, body in bodies.items():
        made = client.post(f"/api/v1/{plural}/", body)
        yield made
        yield client.delete(f"/api/v1/{plural}/{made.json()['id']}/")
        yield client.post(f"/api/v1/{plural}/{made.json()['id']}/restore/")
    yield client.post("/api/v1/custom_fields/", {"entity": "lead", "key": "k", "label": "K", "type": "text"})
    yield client.post("/api/v1/saved_views/", {"entity": "lead", "name": "v", "conditions": {"state": "CA"}})
    yield client.post("/api/v1/teams/", {"name": "Sellers"})
    yield client.post("/api/v1/pipelines/", {"name": "Renewals"})
    hook = {"name": "B", "url": "https://billing.example.com/crm", "events": ["lead.created"]}
    hook_id = client.post("/api/v1/webhooks/", hook).json()["id"]
    yield client.post(f"/api/v1/webhooks/{hook_id}/test/")
    yield client.post("/api/auth/api_keys/", {"name": "k", "scopes": ["leads:read"]})
    for part in ("", "preview/"):
        upload = SimpleUploadedFile("leads.csv", FILE, "text/csv")
        yield client.post(f"/api/v1/import/leads/{part}", {"file": upload}, format="multipart")
    yield client.post("/api/v1/exports/", {"resource": "leads", "format": "csv"})
    yield client.post("/api/v1/calendar/")
    yield client.post("/api/auth/login/", {"username": "nobody", "password": "wrong"})


def test_every_answer_is_as_the_document_says(populated, admin, document):
    made = [exchange(response) for response in writes(admin)]
    walked = list(walk(admin, document))
    assert len({path for path, _ in walked}) > 85
    answers = [*made, *(answer for _, answer in walked)]
    found = {f"{a.method} {a.url}": problems for a in answers if (problems := document.problems(a))}
    assert found == {}


def ran_over(subject):
    """A run of a workflow with a step, and a mail, about the record."""
    workflow = WorkflowFactory(name="Welcome")
    version = WorkflowVersion.objects.get(workflow=workflow)
    run = WorkflowExecution.objects.create(
        workflow=workflow, version=version, event_key="e1", status="completed", **subject
    )
    WorkflowStep.objects.create(execution=run, position=0, path="0", type="send_email", status="completed")
    EmailMessageFactory(to=["ada@engines.example"], **subject)


def test_every_kind_of_timeline_entry_is_as_the_document_says(admin, document, make_user):
    lead = admin.post("/api/v1/leads/", LEAD).json()["id"]
    ran_over({"entity": "lead", "object_id": lead})
    admin.post("/api/v1/activities/", {"lead": lead, "type": "call", "subject": "Hello", "duration": 60})
    admin.post("/api/v1/comments/", {"lead": lead, "body": "Hello"})
    admin.post("/api/v1/tasks/", {"lead": lead, "title": "Call"})
    deal = admin.post(f"/api/v1/leads/{lead}/convert/", {}).json()["opportunity_id"]
    another = admin.post("/api/v1/contacts/", {"first_name": "Bob"}).json()["id"]
    admin.post(f"/api/v1/opportunities/{deal}/contacts/", {"contact": another})
    admin.post(f"/api/v1/leads/{lead}/shares/", {"user": make_user("rep").pk})
    urls = (f"/api/v1/leads/{lead}/timeline/", f"/api/v1/opportunities/{deal}/timeline/")
    made = [exchange(admin.get(url)) for url in urls]
    assert [document.problems(one) for one in made] == [[], []]
    pages = [json.loads(one.body) for one in made]
    assert {entry["kind"] for page in pages for entry in page["results"]} == set(timeline.sources.keys())
    for page, one in zip(pages, made, strict=True):
        for entry in page["results"]:
            wrong = page | {"results": [entry | {"data": {}}]}
            assert document.problems(replace(one, body=json.dumps(wrong))) != [], entry["kind"]
