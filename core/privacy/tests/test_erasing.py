"""A person is planted at every entry, erased, and is nowhere afterwards."""

import json
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.db import connection

from contacts.models import Contact
from contacts.tests.factories import CompanyFactory, ContactFactory
from core.activities.models import Comment
from core.activities.tests.factories import ActivityFactory, CommentFactory
from core.api.models import IdempotencyKey
from core.changes import audit_context
from core.changes.dispatch import dispatch
from core.changes.models import Change
from core.privacy import erasing, jobs, lifecycle, steps
from core.privacy.models import PrivacyRequest
from core.privacy.subject import AskedSubject
from core.transfer import export_jobs
from core.transfer.models import ExportJob, ImportIssue
from core.transfer.tests.uploads import upload
from core.webhooks import sending
from core.webhooks.models import WebhookDelivery
from core.webhooks.tests.factories import WebhookSubscriptionFactory
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory
from opportunities.models import Opportunity
from opportunities.tests.factories import OpportunityFactory
from tasks.models import Task
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db(transaction=True)

FIRST, LAST = "Zuzanna", "Quibblesworth"
EMAIL, FORMER, OTHER = "zq@canary.example", "former@canary.example", "third@canary.example"
PHONE, WRITTEN = "+442079460123", "(020) 7946-0123"
WORDS = (FIRST, LAST, "canary.example", PHONE, WRITTEN)
KEYED = {"HTTP_IDEMPOTENCY_KEY": "once"}


def settle_all(settle):
    settle()
    while dispatch():
        continue


def erased(settle, **asked):
    """An erasure, worked on until its end with everything that follows from it."""
    dry_run = asked.pop("dry_run", False)
    request = lifecycle.begin("erase", AskedSubject(**asked), None, dry_run=dry_run)
    return worked_on(request, settle)


def worked_on(request, settle):
    """The request at its end, with everything that follows from it."""
    for _ in range(20):
        if jobs.run(request.pk) not in jobs.GOES_ON:
            break
        settle_all(settle)
    request.refresh_from_db()
    return request


@pytest.fixture
def planted(admin, admin_user, make_workflow, settle, peer, files, settings):
    """The person in every table that holds words; returns what is to stay."""
    settings.CRM = settings.CRM | {"DEFAULT_PHONE_REGION": "GB"}
    WebhookSubscriptionFactory(url=peer.url(), owner=admin_user, payload="full", events=["lead.created"])
    make_workflow(
        [
            ("send_email", {"subject": "Hello {{lead.first_name}}", "body": "x", "to": "{{lead.email}}"}),
            ("create_task", {"title": "Call {{lead.first_name}} {{lead.last_name}}"}),
        ]
    )
    body = {"first_name": FIRST, "last_name": LAST, "email": FORMER, "phone": PHONE, "notes": f"{FIRST}'s"}
    made = admin.post("/api/v1/leads/", body, format="json", **KEYED)
    assert made.status_code == 201, made.json()
    lead = Lead.objects.get(pk=made.json()["id"])
    admin.patch(f"/api/v1/leads/{lead.pk}/", {"email": EMAIL}, format="json")
    settle_all(settle)
    sending.deliver_due()
    text = f"first_name,last_name,email,estimated_value\n{FIRST},{LAST},{EMAIL},nonsense\nAda,B,,\n"
    assert upload(admin, text, skip_errors=True).status_code < 300
    with audit_context(admin_user, source="api"):
        survivor = ContactFactory(first_name=FIRST, last_name=LAST, email=EMAIL, additional_emails=[OTHER])
        twin = ContactFactory(first_name=FIRST, last_name="Q.", email=OTHER, mobile=WRITTEN)
        company = CompanyFactory(name="Acme", notes=f"Ask {EMAIL.upper()} or call 020 7946 0123")
        deal = OpportunityFactory(
            name=f"{FIRST} {LAST} deal", amount="1500.00", contact=survivor, notes="Fine"
        )
        CommentFactory(entity="opportunity", object_id=deal.pk, body=f"<{EMAIL}> agreed")
        CommentFactory(entity="contact", object_id=twin.pk, body="is ill, says Zuzanna")
        ActivityFactory(entity="lead", object_id=lead.pk, subject=f"Call with {FIRST}")
        TaskFactory(title=f"Write to {FIRST}", contact=twin)
        TaskFactory(title=f"Ask about {OTHER}", company=company)
    merged = admin.post(
        "/api/v1/contacts/merge/", {"survivor": survivor.pk, "merged": [twin.pk]}, format="json"
    )
    assert merged.status_code == 200, merged.json()
    export_jobs.run_job(export_jobs.begin(_lead_entity(), {}, admin_user).pk)
    settle_all(settle)
    records = (("lead", lead.pk), ("contact", survivor.pk), ("contact", twin.pk))
    return {"company": company, "deal": deal, "lead": lead, "records": records}


def _lead_entity():
    from core.entities import entities

    return entities["lead"]


BEFORE = {
    "contacts_company", "contacts_contact", "core_activity", "core_change", "core_comment",
    "core_emailmessage", "core_idempotencykey", "core_importissue", "core_merge", "core_notification",
    "core_webhookdelivery", "core_workflowstep", "exports", "lead_management_lead",
    "opportunities_opportunity", "tasks_task",
}  # fmt: skip


def test_a_person_is_nowhere_after_an_erasure(planted, places, settle, admin):
    assert places(*WORDS) >= BEFORE - {"core_notification"}, "the person was everywhere"
    request = erased(settle, emails=(EMAIL,), records=planted["records"])
    assert (request.status, request.message) == ("finished", "")
    # A row that was refused: of the person's name nothing tells that it is theirs. It goes with its import.
    assert places(*WORDS) == {"core_importissue"}
    assert ImportIssue.objects.get().cells == [FIRST, LAST, "[erased]", "nonsense"]
    assert (Lead.objects.filter(email="").count(), Contact.objects.count()) == (1, 0), "Ada B is another"
    assert ExportJob.objects.get().stored_as == ""
    assert IdempotencyKey.objects.count() == 0
    deal = Opportunity.objects.get()
    assert (deal.name, deal.amount, deal.contact, deal.notes) == (
        "[erased] deal",
        Decimal("1500.00"),
        None,
        "Fine",
    )
    planted["company"].refresh_from_db()
    assert (planted["company"].name, planted["company"].notes) == ("Acme", "Ask [erased] or call [erased]")
    titles = sorted(Task.objects.exclude(title="Call Ada B").values_list("title", flat=True))
    assert titles == ["Ask about [erased]", "[erased]", "[erased]"]
    shown = admin.get(f"/api/v1/privacy/requests/{request.pk}/").json()
    assert (shown["subject"], shown["records"]) == ({}, [])
    certificate = admin.get(f"/api/v1/privacy/requests/{request.pk}/certificate/").json()
    counted = {line["table"]: line for line in certificate["erased"]}
    assert counted["lead_management_lead"]["deleted"] == 1
    assert counted["contacts_contact"]["deleted"] == 2
    assert {line["table"] for line in certificate["kept"]} == {
        "core_privacyrequest",
        "opportunities_opportunity",
    }


def test_receivers_of_webhooks_hear_that_the_record_is_gone(planted, settle, admin_user, peer):
    WebhookSubscriptionFactory(url=peer.url(), owner=admin_user, events=["lead.deleted"])
    erased(settle, emails=(EMAIL,))
    events = WebhookDelivery.objects.filter(event="lead.deleted")
    assert [event.object_id for event in events] == [planted["lead"].pk]


def test_a_dry_run_counts_and_erases_nothing(planted, places, settle):
    before = places(*WORDS)
    changes, leads = Change.objects.count(), Lead.objects.count()
    request = erased(settle, emails=(EMAIL,), dry_run=True)
    assert request.status == "finished"
    assert request.counts["lead_management_lead"] == {"deleted": 1, "emptied": 0, "redacted": 0}
    assert request.counts["contacts_contact"] == {"deleted": 1, "emptied": 0, "redacted": 0}
    assert request.counts["contacts_company"] == {"deleted": 0, "emptied": 0, "redacted": 1}
    shared = {"reason": "kept: shared with 1 other record", "records": 1}
    assert request.kept == [
        {"kind": "email"} | shared,
        {"kind": "phone"} | shared,
        {
            "kind": "record",
            "reason": steps.MAY_BE_THEIRS,
            "entity": "contact",
            "id": planted["records"][2][1],
        },
    ]
    assert places(*WORDS) == before | {"core_privacyrequest"}
    assert (Change.objects.count(), Lead.objects.count()) == (changes, leads)
    assert erased(settle, emails=(EMAIL,)).status == "finished"
    assert "core_privacyrequest" not in places(*WORDS), "the dry run forgot too"


def test_steps_that_are_killed_are_done_again(planted, places, settle, monkeypatch):
    """Each step fails once before its commit: nothing of it stays, and the next one does it."""
    asked = AskedSubject(emails=(EMAIL,), records=planted["records"])
    request = lifecycle.begin("erase", asked, None)
    honest, failed = erasing._next_table, []

    def failing(row, table):
        if (row.progress["pass"], table.name) not in failed:
            failed.append((row.progress["pass"], table.name))
            raise RuntimeError("killed")
        return honest(row, table)

    monkeypatch.setattr(erasing, "_next_table", failing)
    monkeypatch.setattr(lifecycle, "MAX_ATTEMPTS", 3)
    for _ in range(1_000):
        try:
            status = jobs.run(request.pk)
        except RuntimeError:
            continue
        if status not in jobs.GOES_ON:
            break
        settle_all(settle)
    request.refresh_from_db()
    assert request.status == "finished"
    assert len(failed) > len(erasing.searched_tables())
    assert request.counts["contacts_contact"]["deleted"] == 2
    assert places(*WORDS) == {"core_importissue"}


@pytest.mark.parametrize("is_older", [True, False])
def test_an_erasure_waits_for_an_import_that_is_open(settle, admin, files, settings, is_older):
    settings.CRM = {"IMPORT_ROWS_AT_ONCE": 1}
    text = f"first_name,last_name,email\n{FIRST},{LAST},{EMAIL}\nAda,Byron,ada@x.example\n"
    if is_older:
        assert upload(admin, text).status_code == 202
    request = lifecycle.begin("erase", AskedSubject(emails=(EMAIL,)), None)
    if not is_older:
        assert upload(admin, text).status_code == 202
    assert jobs.run(request.pk) == steps.WAITING
    from core.transfer import running

    running.run_pending(lambda: False)
    request.refresh_from_db()
    worked_on(request, settle)
    assert list(Lead.objects.values_list("first_name", flat=True)) == ["Ada"]


def test_a_surname_that_is_a_word_changes_no_kinds_and_states(settle, admin_user):
    with audit_context(admin_user):
        contact = ContactFactory(first_name="Open", last_name="Opportunity", email=EMAIL)
        deal = OpportunityFactory(name="Opportunity of Open", contact=contact, notes=EMAIL)
        CommentFactory(entity="opportunity", object_id=deal.pk, body=f"Open Opportunity {EMAIL}")
    assert erased(settle, emails=(EMAIL,)).status == "finished"
    deal.refresh_from_db()
    assert (deal.name, deal.status, deal.notes) == ("Opportunity of Open", "open", "")
    comment = Comment.objects.get()
    assert (comment.entity, comment.body) == ("opportunity", "[erased] [erased]")


def test_large_tables_are_erased_in_windows(settle, admin_user, monkeypatch):
    monkeypatch.setattr(steps, "AT_ONCE", 7)
    monkeypatch.setattr(steps, "LEAST_AT_ONCE", 7)
    lead = LeadFactory(email=EMAIL, first_name=FIRST, last_name=LAST)
    for n in range(30):
        CommentFactory(entity="lead", object_id=lead.pk, body=f"{n} {FIRST}")
    request = erased(settle, records=(("lead", lead.pk),))
    assert request.status == "finished"
    assert request.counts["core_comment"]["emptied"] == 30


def test_the_person_is_handed_out(planted, settle, admin, tmp_path):
    made = admin.post("/api/v1/privacy/requests/", {"kind": "export", "emails": [EMAIL]}, format="json")
    assert made.status_code == 202, made.json()
    pk = made.json()["id"]
    assert jobs.run(pk) == "finished"
    content = b"".join(admin.get(f"/api/v1/privacy/requests/{pk}/download/").streaming_content)
    document = json.loads(content)
    assert document["addresses"] == [FORMER, EMAIL]
    tables = document["tables"]
    assert [row["first_name"] for row in tables["contacts_contact"]["rows"]] == [FIRST]
    assert tables["opportunities_opportunity"]["rows"][0]["name"] == f"{FIRST} {LAST} deal"
    assert [row["body"] for row in tables["core_comment"]["rows"]] == ["is ill, says Zuzanna"]
    assert document["mentioned_in"]["contacts_company"] == [planted["company"].pk]
    assert "contacts_company" not in tables, "a company is another's"
    assert all("headers" not in row for row in tables["core_webhookdelivery"]["rows"])
    lifecycle.PrivacyRequest.objects.update(expires_at="2020-01-01T00:00Z")
    assert lifecycle.forget_expired() == 1
    assert admin.get(f"/api/v1/privacy/requests/{pk}/download/").status_code == 404


def test_the_commands_do_the_same(settle, admin_user, tmp_path, files, places, capsys):
    LeadFactory(email=EMAIL, first_name=FIRST, last_name=LAST)
    call_command("export_person", str(tmp_path / "person.json"), "--email", EMAIL)
    assert FIRST in (tmp_path / "person.json").read_text()
    call_command("erase_person", "--email", EMAIL, "--dry-run")
    assert Lead.objects.count() == 1
    call_command("erase_person", "--email", EMAIL)
    assert Lead.objects.count() == 0
    assert places(*WORDS) == set()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "erase"}, "emails"),
        ({"kind": "erase", "emails": ["no address"]}, "emails"),
        ({"kind": "erase", "phones": ["123"]}, "phones"),
        ({"kind": "erase", "phones": ["7946 0123"]}, "phones"),
        ({"kind": "erase", "terms": ["Zuzanna"]}, "emails"),
        ({"kind": "erase", "emails": [EMAIL], "terms": ["Zuz"]}, "terms"),
        ({"kind": "erase", "emails": [EMAIL], "terms": ["王"]}, "terms"),
        ({"kind": "erase", "records": [{"entity": "company", "id": 1}]}, "records"),
        ({"kind": "export", "emails": [EMAIL], "dry_run": True}, "dry_run"),
        ({"kind": "erase", "emails": [EMAIL], "name": "x"}, "name"),
    ],
)
def test_who_is_not_named_rightly_is_refused(admin, body, field):
    answer = admin.post("/api/v1/privacy/requests/", body, format="json")
    assert answer.status_code == 400
    assert field in json.dumps(answer.json())
    assert PrivacyRequest.objects.count() == 0


@pytest.mark.parametrize("role", ["manager", "rep", "viewer"])
def test_administrators_alone_ask(api, make_user, role):
    client = api(make_user(role))
    body = {"kind": "erase", "emails": [EMAIL]}
    assert client.post("/api/v1/privacy/requests/", body, format="json").status_code == 403
    assert client.get("/api/v1/privacy/requests/").status_code == 403
    assert PrivacyRequest.objects.count() == 0


def test_a_cancelled_request_ends_between_steps(admin):
    LeadFactory(email=EMAIL)
    pk = lifecycle.begin("erase", AskedSubject(emails=(EMAIL,)), None).pk
    assert admin.post(f"/api/v1/privacy/requests/{pk}/cancel/").status_code == 200
    assert jobs.run(pk) == "cancelled"
    assert Lead.objects.count() == 1
    assert admin.post(f"/api/v1/privacy/requests/{pk}/cancel/").status_code == 409
    assert admin.get(f"/api/v1/privacy/requests/{pk}/certificate/").status_code == 404


def test_two_that_work_on_one_request_do_each_step_once(settle):
    LeadFactory(email=EMAIL)
    request = lifecycle.begin("erase", AskedSubject(emails=(EMAIL,)), None)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connections

    def work():
        try:
            return jobs.run(request.pk)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: work(), range(2)))
    worked_on(request, settle)
    assert (request.status, request.counts["lead_management_lead"]["deleted"]) == ("finished", 1)
