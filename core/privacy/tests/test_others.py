"""Erasing one person leaves everybody else as they were; each test is an input by which it did not."""

import json
from decimal import Decimal

import pytest
from django.db import OperationalError, connection

from contacts.models import Contact
from contacts.tests.factories import CompanyFactory, ContactFactory
from core.accounts import keys
from core.activities.models import Activity, ActivityRecord
from core.activities.tests.factories import ActivityFactory, CommentFactory
from core.api.models import IdempotencyKey
from core.changes import audit_context
from core.changes.dispatch import dispatch
from core.changes.models import Change
from core.conditions.models import SavedView
from core.customization.tests.factories import SavedViewFactory
from core.privacy import erasing, exporting, jobs, lifecycle, patterns, steps
from core.privacy.models import PrivacyRequest
from core.privacy.subject import AskedSubject
from core.privacy.tests.working import erased
from core.webhooks.models import WebhookAttempt
from core.webhooks.tests.factories import WebhookDeliveryFactory
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory
from opportunities.tests.factories import OpportunityFactory
from tasks.models import Task
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db
ANN, PHONE = "ann@x.com", "+442079460123"


def replaced(pattern, text):
    """The text as the database redacts it: by itself, and within JSON."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT regexp_replace(%s COLLATE "pg_unicode_fast", %s, '[erased]', 'gi')""", [text, pattern]
        )
        plain = cursor.fetchone()[0]
        cursor.execute(
            "SELECT crm_redact(%s::jsonb, %s, %s)->>'a'", [json.dumps({"a": text}), pattern, pattern]
        )
        assert cursor.fetchone()[0] == plain
    return plain


@pytest.mark.parametrize(
    "text",
    [
        "joann@x.com",
        "jo.ann@x.com",
        "jo+ann@x.com",
        "jo-ann@x.com",
        "o'ann@x.com",
        "jo%ann@x.com",
        "éann@x.com",
        "王ann@x.com",
        "ann@x.com.au",
        "ann@x.company",
        "ann@x.com-shop.example",
        "ann@x.comé",
        "ann@xxcom",
        "ann@sub.x.com",
        "a\nnann@x.com",
        "C:\\nann@x.com",
    ],
)
def test_a_longer_address_is_somebody_elses(text):
    assert replaced(patterns.email(ANN), text) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Ask ANN@x.com.", "Ask [erased]."),
        ("<ann@x.com>, (ann@x.com)", "<[erased]>, ([erased])"),
        ("mailto:ann@x.com?x=1", "mailto:[erased]?x=1"),
        ("?to=ann%40x.com&y", "?to=[erased]&y"),
        ("line\nann@x.com\nline", "line\n[erased]\nline"),
        ("ann@x.com - yes", "[erased] - yes"),
    ],
)
def test_an_address_is_found_in_any_text(text, left):
    assert replaced(patterns.email(ANN), text) == left


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("+441234567", "1 234 567,00"),
        ("+4412345670", "1234567.0"),
        (PHONE, "2079460123"),  # any ten digits
        (PHONE, "order 442079460123"),
        (PHONE, "9020 7946 0123"),
        (PHONE, "020 7946 0123 45"),
        (PHONE, "020 7946 0123,50"),
        (PHONE, "12 020 7946 0123"),
        (PHONE, "ab02079460123"),
        (PHONE, "+1442079460123"),
        (PHONE, "+4420794601234"),
        (PHONE, "020 7946 012"),
    ],
)
def test_amounts_ids_and_longer_numbers_are_no_phone_numbers(settings, number, text):
    settings.CRM = settings.CRM | {"DEFAULT_PHONE_REGION": "GB"}
    assert replaced(patterns.phone(number), text) == text


@pytest.mark.parametrize(
    "text",
    [
        "+442079460123",
        "+44 20 7946 0123",
        "+44 (0)20 7946-0123",
        "0044 20 7946 0123",
        "(020) 7946-0123",
        "020.7946.0123",
    ],
)
def test_a_number_is_found_as_people_write_it(settings, text):
    settings.CRM = settings.CRM | {"DEFAULT_PHONE_REGION": "GB"}
    assert replaced(patterns.phone(PHONE), f"call {text}, or") == "call [erased], or"


def test_ten_digits_in_a_row_are_no_american_number_and_three_groups_are(settings):
    settings.CRM = settings.CRM | {"DEFAULT_PHONE_REGION": "US"}
    pattern = patterns.phone("+12125550123")
    assert replaced(pattern, "id 2125550123, 2 125 550 123") == "id 2125550123, 2 125 550 123"
    assert replaced(pattern, "(212) 555-0123") == "[erased]"


def test_numbers_in_json_and_their_own_columns_are_no_text(settings):
    pattern = patterns.any_of([patterns.phone(PHONE)])
    with connection.cursor() as cursor:
        cursor.execute("SELECT crm_redact('{\"a\": 442079460123}'::jsonb, %s, %s)", [pattern, pattern])
        assert json.loads(cursor.fetchone()[0]) == {"a": 442079460123}


def test_records_with_longer_addresses_and_other_numbers_stay():
    LeadFactory(first_name="Ann", email=ANN, phone=PHONE)
    others = [
        LeadFactory(first_name="Joann", email=f"jo{ANN}", notes="mine: joann@x.com"),
        LeadFactory(first_name="Aus", email=f"{ANN}.au", phone="+442079460124"),
    ]
    assert erased(emails=(ANN,)).status == "finished"
    assert set(Lead.objects.all()) == set(others)
    assert Lead.objects.get(first_name="Joann").notes == "mine: joann@x.com"
    assert list(Lead.objects.order_by("pk").values_list("email", flat=True)) == [
        "joann@x.com",
        "ann@x.com.au",
    ]


def test_an_address_of_several_people_erases_nobody_until_they_are_named():
    info = "info@x.com"
    one = LeadFactory(first_name="Ann", last_name="Lee", email=info)
    LeadFactory(first_name="Bob", last_name="Ray", email=info)
    request = erased(emails=(info,))
    assert (request.status, Lead.objects.count()) == ("failed", 2)
    assert f"lead:{one.pk}" in request.message
    assert "info@" not in request.message
    request = erased(records=(("lead", one.pk),))
    assert [lead.first_name for lead in Lead.objects.all()] == ["Bob"]
    assert request.kept == [{"kind": "email", "reason": "kept: shared with 1 other record", "records": 1}]


@pytest.mark.parametrize("names", [{"first_name": "", "last_name": "Lee"}, {"first_name": "Anna"}])
def test_records_without_a_full_name_are_several_people_until_they_are_named(names):
    leads = [LeadFactory(email="info@x.com", **names) for _ in range(3)]
    request = erased(emails=("info@x.com",))
    assert (request.status, Lead.objects.count()) == ("failed", 3)
    assert all(f"lead:{lead.pk}" in request.message for lead in leads)
    named = tuple(("lead", lead.pk) for lead in leads)
    assert erased(emails=("info@x.com",), records=named).status == "finished"
    assert Lead.objects.count() == 0


def test_who_is_named_and_who_has_the_number_are_compared():
    ann = LeadFactory(first_name="Ann", last_name="Lee", email=ANN)
    LeadFactory(first_name="Bob", last_name="Ray", phone=PHONE)
    assert erased(records=(("lead", ann.pk),), phones=(PHONE,)).status == "failed"
    assert Lead.objects.count() == 2
    ContactFactory(first_name="ann", last_name="Lee ", mobile="+12125550123")
    assert erased(records=(("lead", ann.pk),), phones=("+12125550123",)).status == "finished"
    assert (Lead.objects.get().first_name, Contact.objects.count()) == ("Bob", 0)


def test_one_number_of_several_people_erases_nobody():
    LeadFactory(first_name="Ann", phone=PHONE)
    ContactFactory(first_name="Bob", mobile=PHONE)
    assert erased(phones=(PHONE,)).status == "failed"
    assert (Lead.objects.count(), Contact.objects.count()) == (1, 1)


def test_further_and_former_addresses_lead_to_nobody_and_what_others_have_stays():
    """The person's second address is somebody's first by now, and the third stands in another's text."""
    with audit_context(None, source="api"):
        person = ContactFactory(
            first_name="Ann", email="old@x.com", additional_emails=["pa@x.com", "own@x.com"]
        )
        Contact.objects.filter(pk=person.pk).update(email=ANN, phone=PHONE)
        owner_now = LeadFactory(
            first_name="Next", email="old@x.com", phone=PHONE, notes="old@x.com, own@x.com"
        )
        boss = ContactFactory(first_name="Boss", email="pa@x.com", additional_emails=["ANN2@x.com"])
        note = CommentFactory(entity="contact", object_id=boss.pk, body="pa@x.com says ann@x.com")
    request = erased(emails=(ANN,))
    assert request.status == "finished"
    assert not Contact.objects.filter(pk=person.pk).exists()
    owner_now.refresh_from_db()
    boss.refresh_from_db()
    note.refresh_from_db()
    assert (owner_now.email, owner_now.phone, owner_now.notes) == ("old@x.com", PHONE, "old@x.com, [erased]")
    assert (boss.email, boss.additional_emails) == ("pa@x.com", ["ANN2@x.com"])
    assert note.body == "pa@x.com says [erased]"
    assert [(one["kind"], one["records"]) for one in request.kept] == [
        ("email", 1),
        ("email", 1),
        ("phone", 1),
    ]
    certificate = json.dumps(request.kept)
    assert "@" not in certificate
    assert "44" not in certificate


def test_an_address_that_another_has_as_a_further_one_is_theirs_too():
    LeadFactory(first_name="Ann", email=ANN)
    pa = ContactFactory(first_name="Pa", email="pa@x.com", additional_emails=[ANN])
    firm = CompanyFactory(name="Acme", email=ANN, notes=f"write to {ANN}")
    request = erased(emails=(ANN,))
    pa.refresh_from_db()
    firm.refresh_from_db()
    assert (Lead.objects.count(), pa.additional_emails) == (0, [ANN])
    assert (firm.email, firm.notes) == (ANN, f"write to {ANN}")
    assert request.kept == [{"kind": "email", "reason": "kept: shared with 2 other records", "records": 2}]


def test_the_address_of_a_colleague_stays(make_user):
    make_user("rep", username="ann", email=ANN)
    LeadFactory(first_name="Ann", email=ANN)
    other = LeadFactory(first_name="Bob", notes=f"{ANN} looks after him")
    assert erased(emails=(ANN,)).kept[0]["records"] == 1
    other.refresh_from_db()
    assert other.notes == f"{ANN} looks after him"


def test_the_number_of_a_colleague_stays(make_user):
    make_user("rep", username="ann", phone=PHONE)
    LeadFactory(first_name="Ann", email=ANN, phone=PHONE)
    other = LeadFactory(first_name="Bob", notes=f"call {PHONE}")
    assert [one["kind"] for one in erased(emails=(ANN,)).kept] == ["phone"]
    other.refresh_from_db()
    assert other.notes == f"call {PHONE}"


@pytest.mark.parametrize("kind", ["contact", "user"])
def test_a_name_that_somebody_else_has_is_redacted_nowhere(kind, make_user):
    deal = OpportunityFactory(name="Ann Lee: 20 seats", notes=f"of {ANN}")
    LeadFactory(first_name="Ann", last_name="Lee", email=ANN, converted_opportunity=deal)
    if kind == "contact":
        ContactFactory(first_name="ANN", last_name="Lee", email="other@x.com")
    else:
        make_user("rep", username="al", first_name="Ann", last_name="Lee")
    assert erased(emails=(ANN,)).status == "finished"
    deal.refresh_from_db()
    assert (deal.name, deal.notes) == ("Ann Lee: 20 seats", "of [erased]")


def test_json_that_is_kept_as_text_is_searched_as_json(admin_user):
    """Before an address may stand an escape, which is no letter of another one."""
    bodies = [json.dumps({"notes": f"Hi\n{address}"}) for address in (ANN, f"jo{ANN}")]
    keys_of = {"user": admin_user, "route": "POST /", "fingerprint": "f", "status": 201}
    for n, body in enumerate(bodies):
        IdempotencyKey.objects.create(key=str(n), body=body.encode(), **keys_of)
    events = [WebhookDeliveryFactory(body=body) for body in (*bodies, f"Hi {ANN}")]
    attempts = [
        WebhookAttempt.objects.create(delivery=events[1], number=n, response_body=body)
        for n, body in enumerate((bodies[0], f'{{"breaks off": "{ANN}'))
    ]
    assert erased(emails=(ANN,)).status == "finished"
    assert list(IdempotencyKey.objects.values_list("key", flat=True)) == ["1"]
    for row in (*events, *attempts):
        row.refresh_from_db()
    erased_body = {"notes": "Hi\n[erased]"}
    assert json.loads(events[0].body) == erased_body
    assert [event.body for event in events[1:]] == [bodies[1], "Hi [erased]"]
    assert json.loads(attempts[0].response_body) == erased_body
    assert attempts[1].response_body == '{"breaks off": "[erased]'


def test_names_that_have_to_differ_still_do(admin_user):
    names = (ANN, ANN.upper(), f"{'x' * 110} {ANN}")
    views = [SavedViewFactory(owner=admin_user, name=name) for name in names]
    assert erased(emails=(ANN,)).status == "finished"
    names = {view.pk: view.name for view in SavedView.objects.all()}
    assert [names[view.pk] for view in views[:2]] == [f"[erased] {view.pk}" for view in views[:2]]
    assert names[views[2].pk].endswith(f" {views[2].pk}")
    assert "@" not in names[views[2].pk]


def test_text_of_deleted_records_leads_to_nobody():
    with audit_context(None, source="api"):
        gone = LeadFactory(first_name="Bob", email="bob@x.com", notes=f"knows {ANN}")
        change = gone.pk
        gone.delete()
        LeadFactory(first_name="Ann", email=ANN)
    erased(emails=(ANN,))
    deleted = Change.objects.get(entity="lead", object_id=change, kind="deleted")
    assert deleted.changes["first_name"] == ["Bob", None]
    assert deleted.changes["email"] == ["bob@x.com", None]
    assert deleted.changes["notes"] == ["knows [erased]", None]


def test_terms_and_names_change_no_row_of_others(make_user):
    with audit_context(None, source="api"):
        ann = LeadFactory(first_name="Mark", last_name="Price", email=ANN)
        other = LeadFactory(first_name="Mark", last_name="Price-Jones", notes="Mark the price, Smithy")
        Lead.objects.filter(pk=other.pk).update(notes="Mark Price paid. Smithy")
        note = CommentFactory(entity="lead", object_id=other.pk, body="Mark Price, Smithy")
        deal = OpportunityFactory(name="Price for Smithy")
    before = list(Change.objects.filter(entity="lead", object_id=other.pk).values_list("changes", flat=True))
    assert erased(records=(("lead", ann.pk),), terms=("Smithy", "Price")).status == "finished"
    for row in (other, note, deal):
        row.refresh_from_db()
    assert (other.first_name, other.last_name, other.notes) == (
        "Mark",
        "Price-Jones",
        "Mark Price paid. Smithy",
    )
    assert (note.body, deal.name) == ("Mark Price, Smithy", "Price for Smithy")
    now = list(Change.objects.filter(entity="lead", object_id=other.pk).values_list("changes", flat=True))
    assert now == before


def test_what_hangs_on_others_too_is_redacted_and_not_emptied():
    ann = ContactFactory(first_name="Ann", last_name="Lee", email=ANN)
    bob = ContactFactory(first_name="Bob", last_name="Lee", email="bob@x.com")
    both = ActivityFactory(
        entity="contact", object_id=ann.pk, subject="Ann Lee and Bob Lee", body="Annie, Lee"
    )
    ActivityRecord.objects.create(activity=both, entity="contact", object_id=bob.pk)
    own = ActivityFactory(entity="contact", object_id=ann.pk, subject="About her health")
    theirs = ActivityFactory(entity="contact", object_id=bob.pk, subject="Ann Lee's brother Annie")
    erased(emails=(ANN,), terms=("Annie",))
    while dispatch():
        continue
    assert set(Activity.objects.values_list("pk", "subject", "body", "entity", "object_id")) == {
        (both.pk, "[erased] and Bob Lee", "[erased], Lee", "contact", bob.pk),
        (theirs.pk, "Ann Lee's brother Annie", "", "contact", bob.pk),
    }, "what was hers alone went with her, and the meeting stays with him"
    assert not Activity.objects.filter(pk=own.pk).exists()
    bob.refresh_from_db()
    assert bob.last_name == "Lee"


def test_deals_stay_and_lose_the_person_with_what_hangs_on_them():
    ann = ContactFactory(first_name="Ann", last_name="Lee", email=ANN)
    deal = OpportunityFactory(name="Ann Lee: 20 seats", amount="99.00", contact=ann, notes="Ann Lee pays")
    TaskFactory(title="Call Ann Lee", opportunity=deal)
    TaskFactory(title="Her birthday", contact=ann, description="Ann")
    TaskFactory(title="Another Ann Lee")
    comment = CommentFactory(entity="opportunity", object_id=deal.pk, body="Ann Lee agreed, says Ann")
    erased(emails=(ANN,))
    deal.refresh_from_db()
    comment.refresh_from_db()
    assert (deal.name, deal.amount, deal.notes) == ("[erased]: 20 seats", Decimal("99.00"), "[erased] pays")
    assert comment.body == "[erased] agreed, says Ann"
    assert sorted(Task.objects.values_list("title", "description")) == [
        ("Another Ann Lee", ""),
        ("Call [erased]", ""),
        ("[erased]", ""),
    ]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Ann Lee-Smith, Mary-Ann Lee, D'Ann Lee", "Ann Lee-Smith, Mary-Ann Lee, D'Ann Lee"),
        ("Annann Lee, Ann Leeds, Ann_Lee, Ánn Lee", "Annann Lee, Ann Leeds, Ann_Lee, Ánn Lee"),
        ("Bob Lee, Ann Smith, Lee Ann", "Bob Lee, Ann Smith, Lee Ann"),
        ("ANN LEE's deal (Ann Lee)", "[erased]'s deal ([erased])"),
    ],
)
def test_a_part_of_a_name_is_somebody_elses(text, left):
    pattern = patterns.any_of(map(patterns.word, patterns.full_names("Ann", "Lee")))
    assert replaced(pattern, text) == left


def test_names_in_chinese_are_whole_words_too():
    ann = ContactFactory(first_name="伟", last_name="王", email=ANN)
    deal = OpportunityFactory(name="王伟 40台", contact=ann, notes="王伟明, 小王伟, 王伟")
    erased(emails=(ANN,))
    deal.refresh_from_db()
    assert (deal.name, deal.notes) == ("[erased] 40台", "王伟明, 小王伟, [erased]")


def test_a_record_that_changed_meanwhile_is_not_erased(monkeypatch):
    """It was found, and given to somebody else before its table was come to: nothing of his goes."""
    lead = LeadFactory(first_name="Ann", email=ANN)
    task = TaskFactory(title="Call him", lead=lead)
    note = CommentFactory(entity="lead", object_id=lead.pk, body="Bob is ill")
    honest = erasing._begin_pass

    def begin_and_change(request):
        status = honest(request)
        Lead.objects.filter(pk=lead.pk).update(first_name="Bob", email="bob@x.com")
        return status

    monkeypatch.setattr(erasing, "_begin_pass", begin_and_change)
    request = erased(emails=(ANN,))
    for row in (lead, task, note):
        row.refresh_from_db()
    assert (request.status, lead.first_name, lead.email) == ("failed", "Bob", "bob@x.com")
    assert (task.title, note.body) == ("Call him", "Bob is ill")
    assert f"lead:{lead.pk}: changed" in request.message


def test_a_lead_and_the_contact_that_it_became_are_erased_together():
    contact = ContactFactory(first_name="Ann", last_name="Lee", email=ANN)
    lead = LeadFactory(
        first_name="Ann", last_name="Lee", email=ANN, status="converted", converted_contact=contact
    )
    other = LeadFactory(first_name="Bob", status="converted", converted_contact=contact)
    request = erased(emails=(ANN,))
    assert (request.status, request.message) == ("finished", "")
    assert list(Lead.objects.values_list("pk", "first_name")) == [(other.pk, "Bob")]
    assert (Contact.objects.count(), lead.pk in {one.get("id") for one in request.kept}) == (0, False)
    assert [(one["kind"], one["entity"], one["id"]) for one in request.kept] == [("record", "lead", other.pk)]


def test_who_signs_up_again_meanwhile_stays(monkeypatch):
    LeadFactory(first_name="Ann", email=ANN)
    honest, again = erasing._begin_pass, []

    def begin_and_sign_up(request):
        status = honest(request)
        if not again:
            again.append(LeadFactory(first_name="Ann", email=ANN, notes="new"))
        return status

    monkeypatch.setattr(erasing, "_begin_pass", begin_and_sign_up)
    assert erased(emails=(ANN,)).status == "finished"
    assert list(Lead.objects.values_list("pk", "email", "notes")) == [(again[0].pk, ANN, "new")]


# ---- Requests ----


def test_a_request_about_who_was_erased_by_another_fails_and_has_no_certificate(admin):
    LeadFactory(first_name="Ann", email=ANN)
    LeadFactory(first_name="Bob", email="bob@x.com")
    late = lifecycle.begin("erase", AskedSubject(emails=(ANN,)), None)
    bobs = lifecycle.begin("export", AskedSubject(emails=("bob@x.com",)), None)
    assert erased(emails=(ANN,)).status == "finished"
    late.refresh_from_db()
    bobs.refresh_from_db()
    assert (late.status, late.message, late.subject) == ("failed", lifecycle.FORGOTTEN, {})
    assert (bobs.status, bobs.subject["emails"]) == ("pending", ["bob@x.com"])
    assert jobs.run(late.pk) == ""
    assert admin.get(f"/api/v1/privacy/requests/{late.pk}/certificate/").status_code == 404


def test_a_request_that_names_nobody_any_more_fails():
    request = lifecycle.begin("erase", AskedSubject(emails=(ANN,)), None)
    PrivacyRequest.objects.update(subject={})
    assert jobs.run(request.pk) == "failed"
    request.refresh_from_db()
    assert request.message == lifecycle.FORGOTTEN


@pytest.mark.parametrize("kind", ["erase", "export"])
def test_a_step_that_times_out_is_tried_with_fewer_rows_and_finally_fails(monkeypatch, kind):
    LeadFactory(first_name="Ann", email=ANN)
    limits = []

    def slow(table, after, limit):
        limits.append(limit)
        raise OperationalError("canceling statement due to statement timeout")

    for module in (erasing, exporting):
        monkeypatch.setattr(module, "window", slow)
    request = lifecycle.begin(kind, AskedSubject(emails=(ANN,)), None)
    statuses = [jobs.run(request.pk) for _ in range(lifecycle.MAX_ATTEMPTS + 2)]
    request.refresh_from_db()
    assert statuses == [""] * len(statuses)
    assert limits == [5_000, 1_250, 312, 78, 50]
    assert (request.status, Lead.objects.count()) == ("failed", 1)
    assert "OperationalError" in request.message


def test_what_kills_its_worker_is_not_begun_for_ever():
    """A step that is killed counts, for it is counted before it begins."""
    request = lifecycle.begin("erase", AskedSubject(emails=(ANN,)), None)
    for _ in range(lifecycle.MAX_ATTEMPTS):
        assert lifecycle.begin_step(request.pk)
    assert not lifecycle.begin_step(request.pk)
    request.refresh_from_db()
    assert (request.status, lifecycle.KILLED in request.message) == ("failed", True)


def test_an_export_is_written_in_windows_and_holds_no_row_of_others(monkeypatch, files):
    monkeypatch.setattr(steps, "AT_ONCE", 7)
    monkeypatch.setattr(steps, "LEAST_AT_ONCE", 7)
    lead = LeadFactory(first_name="Ann", email=ANN)
    for n in range(20):
        CommentFactory(entity="lead", object_id=lead.pk, body=f"note {n}")
    other = LeadFactory(first_name="Bob", notes=f"knows {ANN}")
    request = erased("export", emails=(ANN,))
    assert (request.status, request.counts["core_comment"]) == ("finished", {"rows": 20})
    from django.core.files.storage import default_storage

    document = json.load(default_storage.open(request.stored_as))
    assert [row["first_name"] for row in document["tables"]["lead_management_lead"]["rows"]] == ["Ann"]
    assert document["mentioned_in"]["lead_management_lead"] == [other.pk]


@pytest.mark.parametrize(
    ("scopes", "reads", "writes"),
    [
        (["read"], 403, 403),
        (["write"], 403, 403),
        (["leads:write", "exports:write"], 403, 403),
        (["privacy:read"], 200, 403),
        (["privacy:write"], 200, 400),
    ],
)
def test_a_key_needs_the_scope_by_name(admin_user, api, scopes, reads, writes):
    request = PrivacyRequest.objects.create(kind="export", status="finished", stored_as="privacy/none")
    client = api()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {keys.make(admin_user, 'test', scopes)[1]}")
    assert client.get("/api/v1/privacy/requests/").status_code == reads
    assert client.get(f"/api/v1/privacy/requests/{request.pk}/").status_code == reads
    assert client.post("/api/v1/privacy/requests/", {"kind": "erase"}, format="json").status_code == writes
    if reads == 403:
        assert client.get(f"/api/v1/privacy/requests/{request.pk}/download/").status_code == 403
    assert PrivacyRequest.objects.count() == 1
