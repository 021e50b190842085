"""Who asked not to be contacted gets no mail, whichever way it comes; and can ask for it with one click."""

import re
from email import message_from_string

import pytest
from django.db.models import F

from backend.development.embedded import ports
from contacts.models import Contact
from contacts.tests.factories import ContactFactory
from core.changes.models import Change
from core.mail import opt_out, sending
from core.mail.models import EmailMessage
from core.mail.tests.factories import EmailTemplateFactory
from core.outbound import breaker
from core.outbound.models import CircuitBreaker
from core.workflows.models import WorkflowExecution
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
MAIL = {"subject": "News", "body": "All of it", "to": "{{lead.email}}"}


def link_of(content):
    """The path of the one-click link in a mail."""
    header = message_from_string(content)["List-Unsubscribe"]
    return re.fullmatch(r"\s*<https?://[^/]+(/[^>\s]+)>", header)[1]


def steps_of(run):
    return [(s.type, s.status, s.output) for s in run.steps.order_by("position")]


def test_an_opted_out_lead_gets_no_mail_and_the_run_goes_on(make_workflow, make_lead, settle):
    make_workflow([("send_email", MAIL), ("add_tag", {"tag": "seen"})])
    lead = make_lead(do_not_contact=True)
    (run,) = settle()
    assert run.status == "completed"
    assert steps_of(run) == [
        ("send_email", "skipped", {"skipped": "opted out"}),
        ("add_tag", "completed", {"tags": ["seen"]}),
    ]
    assert EmailMessage.objects.count() == 0
    lead.refresh_from_db()
    assert lead.tags == ["seen"]


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (Contact, {"email": "grace@navy.example"}),
        (Contact, {"email": "other@navy.example", "additional_emails": ["grace@navy.example"]}),
        (Lead, {"email": "grace@navy.example"}),
        (Lead, {"email": "grace@navy.example", "archived_at": "2026-01-01T00:00Z"}),
    ],
)
def test_an_opt_out_is_the_addresss_whichever_record_has_it(make_workflow, make_lead, settle, model, fields):
    model.objects.create(first_name="Other", do_not_contact=True, **fields)
    make_workflow([("send_email", MAIL)], conditions={"first_name": "Grace"})
    make_lead(email="Grace@Navy.example")
    assert steps_of(settle()[-1]) == [("send_email", "skipped", {"skipped": "opted out"})]
    assert EmailMessage.objects.count() == 0


def test_the_others_of_a_mail_still_get_it(make_workflow, make_lead, settle):
    to = ["{{lead.email}}", "partner@other.example"]
    make_workflow([("send_email", MAIL | {"to": to, "cc": "grace@navy.example"})])
    make_lead(do_not_contact=True)
    assert settle()[0].status == "completed"
    row = EmailMessage.objects.get()
    assert (row.to, row.cc) == (["partner@other.example"], [])


def test_a_transactional_template_may_pass(make_workflow, make_lead, settle, mailbox):
    EmailTemplateFactory(key="receipt", name="R", subject="Receipt", text="x", transactional=True)
    EmailTemplateFactory(key="news", name="N", subject="News", text="x")
    for key in ("receipt", "news"):
        make_workflow([("send_email", {"template_id": key, "to": "{{lead.email}}"})])
    make_lead(do_not_contact=True)
    assert sorted(s for run in settle() for _, s, _ in steps_of(run)) == ["completed", "skipped"]
    assert sending.send_due() == 1
    (envelope, content) = mailbox.messages[0]
    assert envelope == ["grace@navy.example"]
    assert "Subject: Receipt" in content
    assert "List-Unsubscribe" not in content, "it would promise what it does not do"


def test_who_opts_out_while_the_mail_waits_does_not_get_it(make_workflow, make_lead, settle, mailbox):
    make_workflow([("send_email", MAIL)])
    make_lead()
    settle()
    Lead.objects.update(do_not_contact=True)
    assert sending.send_due() == 1
    row = EmailMessage.objects.get()
    assert (row.status, row.error, row.sent_at) == ("cancelled", "opted out", None)
    assert mailbox.messages == []


def test_one_click_opts_out_every_record_of_the_address_and_is_audited(
    make_workflow, make_lead, settle, mailbox, client
):
    contact = ContactFactory(first_name="G", additional_emails=["grace@navy.example"])
    other = LeadFactory(first_name="Ada", email="ada@engines.example")
    make_workflow([("send_email", MAIL)], conditions={"first_name": "Grace"})
    lead = make_lead()
    settle()
    sending.send_due()
    content = mailbox.messages[0][1]
    assert "List-Unsubscribe-Post: List-Unsubscribe=One-Click" in content
    link = link_of(content)
    assert "grace" not in link, "an address in a link ends up in logs"
    assert client.get(link).status_code == 200
    lead.refresh_from_db()
    assert lead.do_not_contact is False, "scanners follow links"
    for _ in range(2):
        answer = client.post(link, "List-Unsubscribe=One-Click", "application/x-www-form-urlencoded")
        assert answer.status_code == 200
    for row, wanted in ((lead, True), (contact, True), (other, False)):
        row.refresh_from_db()
        assert row.do_not_contact is wanted
    reported = Change.objects.filter(changes__has_key="do_not_contact").order_by("entity")
    assert [(c.entity, c.object_id, c.changes, c.source, c.actor_id) for c in reported] == [
        ("contact", contact.pk, {"do_not_contact": [False, True]}, "api", None),
        ("lead", lead.pk, {"do_not_contact": [False, True]}, "api", None),
    ]
    assert all(c.request_id for c in reported)


def test_each_person_of_a_mail_gets_a_link_of_their_own(make_workflow, make_lead, settle, mailbox):
    ada = ContactFactory(first_name="Ada", email="ada@engines.example")
    to = ["{{lead.email}}", "ada@engines.example", "partner@other.example"]
    make_workflow([("send_email", MAIL | {"to": to})])
    lead = make_lead()
    settle()
    sending.send_due()
    found = {tuple(envelope): content for envelope, content in mailbox.messages}
    assert sorted(found) == [("ada@engines.example",), ("grace@navy.example",), ("partner@other.example",)]
    assert "List-Unsubscribe" not in found["partner@other.example",]
    people = {
        name: opt_out.read_token(link_of(found[name,]).partition("token=")[2])
        for name in ("ada@engines.example", "grace@navy.example")
    }
    assert people == {"ada@engines.example": ("contact", ada.pk), "grace@navy.example": ("lead", lead.pk)}
    assert len({re.search("Message-ID: (.*)", c)[1] for c in found.values()}) == 1
    assert EmailMessage.objects.get().status == "sent"


def test_copies_that_were_taken_are_not_sent_again(make_workflow, make_lead, settle, mailbox):
    make_workflow([("send_email", MAIL | {"to": ["partner@other.example", "{{lead.email}}"]})])
    make_lead()
    settle()
    mailbox.answers = ["250 OK", "451 later"]
    sending.send_due()
    row = EmailMessage.objects.get()
    assert (row.status, row.done) == ("queued", ["partner@other.example"])
    EmailMessage.objects.update(due_at="2020-01-01T00:00Z")
    sending.send_due()
    assert [envelope for envelope, _ in mailbox.messages] == [
        ["partner@other.example"],
        ["grace@navy.example"],
    ]
    row.refresh_from_db()
    assert row.status == "sent"


@pytest.mark.parametrize("token", ["", "x", "eyJh.bad.one"])
def test_a_link_that_is_not_ours_changes_nothing(client, make_lead, token):
    lead = make_lead()
    assert client.post(f"/api/v1/unsubscribe/?token={token}").status_code == 400
    lead.refresh_from_db()
    assert lead.do_not_contact is False


def test_the_link_of_someone_who_was_deleted_says_that_it_does_not_work(client):
    link = opt_out.unsubscribe_url("lead", 999_999)
    assert client.post(link[link.index("/api") :]).status_code == 400


def test_a_dry_run_says_that_nothing_would_be_sent(admin, make_workflow, make_lead):
    workflow = make_workflow([("send_email", MAIL)], trigger="manual")
    lead = make_lead(do_not_contact=True)
    answer = admin.post(f"/api/v1/workflows/{workflow.pk}/test/", {"lead_id": lead.pk}).json()
    assert answer["actions"][0]["would"] == {"skipped": "opted out"}


def test_a_mail_server_that_is_away_costs_one_attempt_for_all(make_workflow, make_lead, settle, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", ports.any_free()
    make_workflow([("send_email", MAIL)])
    for number in range(30):
        make_lead(email=f"l{number}@x.example")
    settle()
    sending.send_due()
    rows = EmailMessage.objects.order_by("id")
    assert [row.attempts for row in rows] == [1] + [0] * 29
    assert {row.status for row in rows} == {"queued"}
    assert breaker.open_names() == {f"email:127.0.0.1:{settings.EMAIL_PORT}"}
    assert sending.send_due() == 0, "nobody asks a server that is away for each mail"
    CircuitBreaker.objects.update(open_until="2020-01-01T00:00Z")
    assert sending.send_due() == 20, "one batch is claimed, and its first mail tries again"
    assert CircuitBreaker.objects.get().failures == 2
    assert sum(rows.values_list("attempts", flat=True)) == 2


def test_a_server_that_is_back_gets_what_waited(make_workflow, make_lead, settle, mailbox, settings):
    CircuitBreaker.objects.create(name=breaker.mail_server(), open_until="2020-01-01T00:00Z", failures=4)
    make_workflow([("send_email", MAIL)])
    make_lead()
    settle()
    assert sending.send_due() == 1
    assert len(mailbox.messages) == 1
    assert CircuitBreaker.objects.count() == 0


def test_the_body_of_a_mail_is_called_text_as_well(admin, make_workflow, make_lead, settle):
    given = {"key": "k", "name": "N", "subject": "S", "body": "Dear {{lead.first_name}}"}
    made = admin.post("/api/v1/email-templates/", given)
    assert (made.status_code, made.json()["text"]) == (201, "Dear {{lead.first_name}}")
    both = admin.post("/api/v1/email-templates/", given | {"key": "l", "text": "x"})
    assert (both.status_code, both.json()["errors"][0]["code"]) == (400, "given_twice")
    make_workflow([("send_email", {"subject": "S", "text": "Dear you", "to": "a@x.example"})])
    make_lead()
    assert settle()[0].status == "completed"
    assert EmailMessage.objects.get().text == "Dear you"
    assert WorkflowExecution.objects.count() == 1


def test_an_outcome_is_not_recorded_by_who_lost_the_lease(make_workflow, make_lead, settle, mailbox):
    make_workflow([("send_email", MAIL)])
    make_lead()
    settle()
    sent = sending._send

    def overtaken(server, message, receivers, people):
        EmailMessage.objects.update(fence=F("fence") + 1)
        return sent(server, message, receivers, people)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sending, "_send", overtaken)
        sending.send_due()
    row = EmailMessage.objects.get()
    assert (row.status, row.sent_at, row.done) == ("queued", None, [])
    assert len(mailbox.messages) == 1
