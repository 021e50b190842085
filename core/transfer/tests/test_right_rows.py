"""What a row of somebody's file means: who it is about, and what is made of cells that cannot be read."""

import io
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from contacts.models import Company, Contact
from contacts.tests.factories import CompanyFactory
from core.changes import audit_context
from core.entities import entities
from core.errors import InvalidError
from core.transfer.importing import Import
from core.transfer.options import parse
from core.transfer.planning import plan
from core.transfer.reading import open_table
from core.transfer.tests.uploads import upload
from lead_management.models import Lead
from opportunities.models import Opportunity, Pipeline
from opportunities.tests.factories import PipelineFactory, StageFactory
from tasks.models import Task

pytestmark = pytest.mark.django_db


@pytest.fixture
def load(admin_user):
    def run(text, entity="lead", user=admin_user, **options):
        content = text if isinstance(text, bytes) else text.encode()
        asked = parse(options)
        made = plan(entities[entity], open_table(io.BytesIO(content), asked.reading), asked, user)
        with audit_context(user, source="import", import_id=77):
            done = Import(made)
            report = done.run()
        run.notes = done.notes()
        return report.figures(), list(report)

    return run


# ---- Several addresses in a cell ----


@pytest.mark.parametrize("mark", [" ::: ", "; ", ", ", "\n"])
def test_several_addresses_in_a_cell_go_where_there_is_room_for_more(load, mark):
    mails = mark.join(["a@x.example", "b@x.example"])
    phones = mark.join(["+1 415 555 0101", "+14155550102"])
    text = f'first_name,email,phone,additional_emails\nA,"{mails}","{phones}",c@x.example\n'
    figures, issues = load(text, "contact")
    assert (figures["created"], issues) == (1, [])
    found = Contact.objects.get()
    assert (found.email, sorted(found.additional_emails)) == ("a@x.example", ["b@x.example", "c@x.example"])
    assert (found.phone, found.additional_phones) == ("+14155550101", ["+14155550102"])


def test_further_addresses_without_room_are_named(load):
    figures, issues = load("first_name,email\nA,a@x.example ::: b@x.example\nB,no address ::: b@x.example\n")
    assert (figures["created"], figures["failed"]) == (1, 1)
    assert Lead.objects.get().email == "a@x.example"
    assert any("Left out: b@x.example" in str(issue) for issue in issues)


# ---- Phones ----


def test_a_local_number_without_a_region_is_kept_and_named(load):
    figures, entries = load("last_name,phone\nA,06 12 34 56 78\nB,8765432109\nC,+33612345678\nD,call me\n")
    assert (figures["created"], figures["failed"]) == (4, 0)
    assert dict(Lead.objects.values_list("last_name", "phone")) == {
        "A": "06 12 34 56 78",
        "B": "8765432109",
        "C": "+33612345678",
        "D": "",
    }
    assert [(e.kind, e.row, e.errors[0]["code"], e.errors[0]["value"]) for e in entries] == [
        ("warning", 2, "kept_as_written", "06 12 34 56 78"),
        ("warning", 3, "kept_as_written", "8765432109"),
        ("warning", 5, "left_empty", "call me"),
    ]


@pytest.mark.parametrize(
    "options",
    [{"phone_region": "FR"}, {"phone_region": "France"}, {"default_values": {"country": "France"}}],
)
def test_a_region_is_asked_for_or_that_of_the_default_country(load, options):
    figures, entries = load("last_name,phone\nA,06 12 34 56 78\n", **options)
    assert (figures["created"], entries) == (1, [])
    assert Lead.objects.get().phone == "+33612345678"


def test_the_country_of_the_row_comes_first_and_the_importers_own_last(load, make_user):
    user = make_user("admin", phone_region="DE")
    load("last_name,phone,country\nA,06 12 34 56 78,FRA\nB,030 901820,\n", user=user)
    assert dict(Lead.objects.values_list("last_name", "phone")) == {"A": "+33612345678", "B": "+4930901820"}


def test_further_numbers_are_read_by_the_country_too(load):
    load("last_name,additional_phones,country\nA,06 12 34 56 78;06 12 34 56 79,France\n", "contact")
    made = Contact.objects.get()
    assert [made.phone, *made.additional_phones] == ["+33612345678", "+33612345679"]


def test_a_stored_record_says_where_the_numbers_of_its_rows_are_from(load, make_user):
    user = make_user("admin", phone_region="DE")
    load("external_id,last_name,country\nE1,A,France\nE2,B,\nE3,C,Atlantis\n", "contact", user=user)
    text = "external_id,phone,additional_phones\n" + "".join(
        f"E{n},06 12 34 56 70; 06 12 34 56 71,+4930901820;06 12 34 56 72\n" for n in (1, 2, 3)
    )
    figures, entries = load(text, "contact", user=user, duplicates="update")
    assert figures["updated"] == 3
    [entry] = entries
    assert sorted((entry.row, e["field"], e["value"]) for e in entry.errors) == [
        (4, "additional_phones", "+4930901820;06 12 34 56 72"),
        (4, "additional_phones", "06 12 34 56 71"),
        (4, "phone", "06 12 34 56 70"),
    ]
    found = Contact.objects.order_by("external_id").values_list("phone", "additional_phones")
    assert list(found) == [
        ("+33612345670", ["+33612345671", "+4930901820", "+33612345672"]),
        ("+49612345670", ["+49612345671", "+4930901820", "+49612345672"]),
        ("06 12 34 56 70", ["06 12 34 56 71", "+4930901820", "06 12 34 56 72"]),
    ]
    assert load(text, "contact", user=user, duplicates="update")[0]["unchanged"] == 3


def test_further_numbers_that_nobody_can_place_are_named(load):
    text = "last_name,phone,additional_phones\nA,+33612345678; 06 12 34 56 79,06 12 34 56 70\n"
    _, [entry] = load(text, "contact")
    assert [(e["column"], e["field"], e["value"]) for e in entry.errors] == [
        ("phone", "additional_phones", "06 12 34 56 79"),
        ("additional_phones", "additional_phones", "06 12 34 56 70"),
    ]


def test_a_sign_of_several_currencies_is_that_of_the_stored_record(load):
    load("external_id,name,currency\nO1,A,AUD\nO2,B,GBP\n", "opportunity")
    load("external_id,amount\nO1,$9\nO2,$9\n", "opportunity", duplicates="update")
    assert dict(Opportunity.objects.values_list("external_id", "currency")) == {"O1": "AUD", "O2": "USD"}


def test_rows_that_end_with_what_is_stored_change_nothing(load):
    text = "email,company_name\na@x.example,ACME\na@x.example,Acme\nb@x.example,Two\n"
    load(text, duplicates="update")
    versions = list(Lead.objects.order_by("pk").values_list("company_name", "version"))
    assert [name for name, _ in versions] == ["Acme", "Two"]
    for _ in range(2):
        assert load(text, duplicates="update")[0]["unchanged"] == 3
    assert list(Lead.objects.order_by("pk").values_list("company_name", "version")) == versions


# ---- Ids of other systems ----

TWINS = "ACCOUNTID,Account Name\n90001,Same Name Co\n90002,Same Name Co\n"


def test_rows_with_different_ids_are_different_records_whatever_else_is_alike(load):
    mapping = {"ACCOUNTID": "external_id", "Account Name": "name"}
    assert load(TWINS, "company", mapping=mapping, duplicates="update")[0]["created"] == 2
    for _ in range(2):
        figures, _ = load(TWINS, "company", mapping=mapping, duplicates="update")
        assert (figures["unchanged"], figures["read"]) == (2, 2)
    assert sorted(Company.objects.values_list("external_id", flat=True)) == ["90001", "90002"]


def test_an_id_joins_a_record_that_has_none_and_never_one_that_has_another(load):
    load("last_name,email\nA,a@x.example\n")
    text = "last_name,email,external_id\nB,a@x.example,E1\nC,a@x.example,E2\nD,,E1\n"
    figures, entries = load(text, duplicates="update")
    assert (figures["created"], figures["updated"], entries) == (1, 2, [])
    assert sorted(Lead.objects.values_list("last_name", "external_id", "email")) == [
        ("C", "E2", "a@x.example"),
        ("D", "E1", "a@x.example"),
    ]
    figures, _ = load(
        "last_name,email,external_id\nX,a@x.example,E3\n", duplicates="update", match_on="email"
    )
    assert figures["created"] == 1


def test_an_id_that_another_record_has_refuses_the_row_alone(load, make_user):
    load("last_name,external_id\nA,E1\n")
    rep = make_user("rep")
    figures, entries = load("last_name,external_id\nB,E1\nC,E2\n", user=rep, duplicates="update")
    assert (figures["created"], figures["failed"]) == (1, 1)
    assert [(e.row, e.errors[0]["field"], e.errors[0]["code"]) for e in entries] == [
        (2, "external_id", "unique")
    ]
    assert Lead.objects.get(external_id="E1").last_name == "A"
    figures, entries = load("last_name,external_id\nB,E9\nC,E9\n", duplicates="create")
    assert (figures["created"], figures["failed"]) == (1, 1)


# ---- References ----


def test_the_same_file_means_the_same_whatever_is_stored(load, admin_user):
    text = "last_name,Company\nA,One\nB,Two\nC,Three\n"
    for stored in (None, "Two"):
        Contact.objects.all().delete()
        if stored:
            CompanyFactory(name=stored, owner=admin_user)
        figures, entries = load(text, "contact")
        assert (figures["created"], entries) == (3, [])
        assert dict(Contact.objects.values_list("last_name", "company_name")) == {
            "A": "One",
            "B": "Two",
            "C": "Three",
        }
    assert dict(Contact.objects.values_list("last_name", "company__name")) == {
        "A": None,
        "B": "Two",
        "C": None,
    }


def test_a_reference_without_a_place_for_its_text_is_reported_with_its_row(load):
    figures, entries = load("title,contact\nCall,Nobody Here\n", "task")
    assert figures["created"] == 1
    assert Task.objects.get().contact_id is None
    assert [(e.kind, e.errors[0]["field"], e.errors[0]["value"]) for e in entries] == [
        ("warning", "contact", "Nobody Here")
    ]


# ---- Who a row is about ----


@pytest.mark.parametrize(
    "text", ["email\na@x.example\n", "company_name\nEngines\n", "last_name\nByron\n", "phone\n+33612345678\n"]
)
def test_one_thing_to_speak_of_is_enough(load, text):
    assert load(text)[0]["created"] == 1
    assert load(text, "contact")[0]["created"] == 1


def test_deals_without_names_are_called_by_their_companies(load):
    load("company_name,amount\nEngines,5\n", "opportunity")
    assert Opportunity.objects.get().name == "Engines"


def test_an_import_of_which_nothing_came_in_is_no_success(admin):
    body = upload(admin, "last_name,email\nA,broken\nB,worse\n").json()
    assert (body["success"], body["imported"], body["errors"]) == (False, 0, 2)
    assert body["message"] == "Nothing was imported. Row 2: email: Enter a valid e-mail address."
    again = upload(admin, "last_name,email\nA,broken\nB,b@x.example\n").json()
    assert (again["success"], again["message"]) == (True, "")


# ---- Cells that cannot be read ----

BAD = (
    "last_name,email,phone,website,company_size,last_contacted_at,priority\n"
    "A,a@x.example,n-a,not an address,many,soon,whenever\n"
)


def test_what_only_describes_is_left_empty_and_reported(admin):
    body = upload(admin, BAD).json()
    assert (body["created"], body["failed"], body["warned"], body["errors"]) == (1, 0, 1, 0)
    lead = Lead.objects.get()
    assert (lead.phone, lead.website, lead.company_size, lead.last_contacted_at) == ("", "", None, None)
    assert lead.priority == "medium"
    [row] = body["warning_details"]
    assert {(e["field"], e["code"], e["value"]) for e in row["errors"]} == {
        ("phone", "left_empty", "n-a"),
        ("website", "left_empty", "not an address"),
        ("company_size", "left_empty", "many"),
        ("last_contacted_at", "left_empty", "soon"),
        ("priority", "left_empty", "whenever"),
    }
    assert {(w["code"], w["column"], w["rows"]) for w in body["warnings"]} >= {("left_empty", "phone", 1)}
    listed = admin.get(f"{body['url']}issues/?kind=warning").json()
    assert (listed["count"], listed["results"][0]["row"]) == (1, 2)
    text = b"".join(admin.get(body["errors_url"]).streaming_content).decode()
    assert "not an address" in text
    assert ",2,Imported; phone: Left empty: " in text.replace('"', "")


def test_it_costs_the_row_where_that_is_asked_for(load):
    figures, entries = load(BAD, on_bad_value="error")
    assert (figures["created"], figures["failed"]) == (0, 1)
    assert len(entries[0].errors) == 5
    assert not Lead.objects.exists()


@pytest.mark.parametrize(
    ("entity", "text", "field"),
    [
        ("lead", "last_name,email\nA,broken\n", "email"),
        ("lead", "last_name,status\nA,weird\n", "status"),
        ("lead", "last_name,estimated_value\nA,much\n", "estimated_value"),
        ("lead", "last_name,do_not_contact\nA,perhaps\n", "do_not_contact"),
        ("lead", "last_name,currency,estimated_value\nA,Shells,5\n", "currency"),
        ("opportunity", "name,stage\nA,nowhere\n", "stage"),
        ("opportunity", "name,pipeline\nA,nowhere\n", "pipeline"),
    ],
)
def test_what_decides_what_a_row_is_refuses_it(load, entity, text, field):
    figures, entries = load(text, entity)
    assert (figures["created"], figures["failed"]) == (0, 1)
    assert [e["field"] for e in entries[0].errors] == [field]


def test_a_cell_that_cannot_be_read_empties_nothing(load):
    load("last_name,email,website\nA,a@x.example,a.example\n")
    text = "last_name,email,website\nA,a@x.example,not an address\n"
    figures, _ = load(text, duplicates="update", clear_blank="true")
    assert figures["unchanged"] == 1
    assert Lead.objects.get().website == "https://a.example"


def test_a_lost_record_without_a_reason_comes_in(load):
    assert load("last_name,status\nA,lost\n")[0]["created"] == 1
    assert Lead.objects.get().lost_reason == "not given"
    load("name,stage\nA,closed_lost\n", "opportunity")
    assert Opportunity.objects.get().lost_reason == "not given"
    assert load("last_name,status\nB,lost\n", on_bad_value="error")[0]["failed"] == 1


# ---- Opt-outs ----


@pytest.mark.parametrize(
    ("headers", "cells", "opted_out"),
    [
        ("Do Not Call,Email Opt Out", "0,1", True),
        ("EMAIL_BLACKLISTED,SMS_BLACKLISTED", "No,Yes", True),
        ("Do Not Call,Email Opt Out", "0,0", False),
        ("Unsubscribed", "2024-05-01 10:00", True),
        ("Status", "Unsubscribed", True),
        ("Status", "cleaned", True),
        ("Status", "Bounced", True),
        ("Status", "inactive subscriber", True),
        ("Status", "new", False),
        ("Subscribed", "FALSE", True),
        ("Subscribed", "TRUE", False),
        ("Accepts Email Marketing", "no", True),
        ("GDPR opt-in", "0", True),
        ("Marketing Consent", "nein", True),
        ("Marketing Consent", "since 2020", False),
        ("Email opt-in,SMS opt-in", "yes,no", True),
        ("Unsubscribed Time", "2024-01-01 10:00:00", True),
    ],
)
def test_an_opt_out_in_any_column_counts(load, headers, cells, opted_out):
    figures, entries = load(f"last_name,{headers}\nA,{cells}\n")
    assert (figures["created"], entries) == (1, [])
    lead = Lead.objects.get()
    assert (lead.do_not_contact, lead.status) == (opted_out, "new")


@pytest.mark.parametrize("duplicates", ["skip", "update"])
def test_an_opt_out_reaches_a_record_that_is_there_and_is_never_taken_back(load, duplicates):
    load("last_name,email,city\nA,a@x.example,Rome\n")
    text = "last_name,email,city,do_not_contact\nB,a@x.example,Bern,yes\n"
    assert load(text, duplicates=duplicates)[0]["updated"] == 1
    lead = Lead.objects.get()
    assert (lead.do_not_contact, lead.city) == (True, "Rome" if duplicates == "skip" else "Bern")
    load(text.replace("yes", "no"), duplicates=duplicates)
    assert Lead.objects.get().do_not_contact is True


def test_an_opt_out_in_a_second_row_of_the_file_counts(load):
    load("last_name,email,do_not_contact\nA,a@x.example,\nA,a@x.example,yes\n")
    assert Lead.objects.get().do_not_contact is True


# ---- Money ----


def test_a_sign_or_code_in_an_amount_sets_the_currency(load):
    text = 'last_name,estimated_value\nA,"€1,234.56"\nB,£500\nC,EUR 700\nD,$5\nE,5\nF,700 kr\n'
    figures, entries = load(text)
    assert (figures["created"], figures["failed"]) == (5, 1)
    found = {
        name: (str(value), currency)
        for name, value, currency in Lead.objects.values_list("last_name", "estimated_value", "currency")
    }
    assert found == {
        "A": ("1234.56", "EUR"),
        "B": ("500.00", "GBP"),
        "C": ("700.00", "EUR"),
        "D": ("5.00", "USD"),
        "E": ("5.00", "USD"),
    }
    assert (entries[0].row, entries[0].errors[0]["code"]) == (7, "currency_mismatch")
    load("last_name,estimated_value\nF,700 kr\n", default_values={"currency": "nok"})
    assert Lead.objects.get(last_name="F").currency == "NOK"


def test_a_sign_that_contradicts_the_currency_of_its_row_refuses_it(load):
    figures, entries = load("last_name,estimated_value,currency\nA,€5,USD\nB,$5,CAD\nC,€5,EUR\n")
    assert (figures["created"], figures["failed"]) == (2, 1)
    assert [(e.row, e.errors[0]["field"], e.errors[0]["code"]) for e in entries] == [
        (2, "estimated_value", "currency_mismatch")
    ]
    assert Lead.objects.get(last_name="B").currency == "CAD"


# ---- Dates ----


def test_a_closed_deals_close_date_is_its_actual_one(load):
    text = "name,stage,expected_close_date\nA,closed_won,2005-03-01\nB,proposal,2005-03-01\n"
    for _ in range(2):
        load(text, "opportunity", match_on="name", duplicates="update")
    won, still_open = Opportunity.objects.order_by("name")
    assert (won.actual_close_date, still_open.actual_close_date) == (date(2005, 3, 1), None)
    later = timezone.now().date() + timedelta(days=30)
    load(f"name,stage,expected_close_date\nC,closed_won,{later}\n", "opportunity")
    assert Opportunity.objects.get(name="C").actual_close_date <= timezone.now().date()


@pytest.mark.parametrize(
    ("status", "stage", "stored", "closed_on"),
    [
        ("Won", "Qualified", "closed_won", date(2024, 1, 5)),
        ("Lost", "Qualified", "closed_lost", date(2024, 1, 5)),
        ("Won", "Closed won", "closed_won", date(2024, 1, 5)),
        ("Open", "Qualified", "qualification", None),
        ("", "Qualified", "qualification", None),
        ("Won", "", "closed_won", date(2024, 1, 5)),
    ],
)
def test_a_deal_that_ended_is_in_a_stage_of_its_kind(load, status, stage, stored, closed_on):
    names = ("ID", "Title", "Value", "Stage", "Status", "Expected close date", "Won time")
    head = ",".join(f"Deal - {name}" for name in names)
    won_at = "2024-01-05 10:00:00" if closed_on else ""
    text = f"{head}\n1,Big,1000,{stage},{status},2024-02-10,{won_at}\n"
    for expected in ("created", "unchanged"):
        assert load(text, "opportunity", duplicates="update")[0][expected] == 1
    deal = Opportunity.objects.get()
    assert (deal.stage, deal.actual_close_date) == (stored, closed_on)


def test_what_was_over_elsewhere_was_over_when_its_file_says(load):
    head = "Lead ID,Last Name,Lead Status,Converted Date"
    leads = f"{head}\nL1,A,Closed - Converted,2024-03-15\nL2,B,New,2024-03-15\n"
    head = "Activity ID,Subject,Status,Completed Date"
    tasks = f"{head}\nT1,Call,Completed,2024-01-05\nT2,Mail,Not Started,2024-01-05\n"
    for expected in ("created", "unchanged"):
        assert load(leads, duplicates="update")[0][expected] == 2
        assert load(tasks, "task", duplicates="update")[0][expected] == 2
    converted, new = Lead.objects.order_by("last_name")
    assert (converted.converted_at.date(), new.converted_at) == (date(2024, 3, 15), None)
    done, pending = Task.objects.order_by("title")
    assert (done.completed_at.date(), pending.completed_at) == (date(2024, 1, 5), None)
    load("Last Name,Lead Status,Converted Date\nC,Converted,2999-01-01\n")
    assert Lead.objects.get(last_name="C").converted_at <= timezone.now()


@pytest.mark.parametrize(
    ("cell", "pipeline", "stage"),
    [
        ("Closed Won (Sales Pipeline)", "Sales", "closed_won"),
        ("Decision Maker Bought-In (Some Pipeline of Theirs)", "Sales", "negotiation"),
        ("In use (Renewals)", "Renewals", "live"),
        ("Won (Renewals)", "Renewals", "won"),
        ("Legal Review", "Sales", "legal"),
        ("contractsent", "Sales", "negotiation"),
    ],
)
def test_a_stage_is_known_by_its_name_and_its_pipelines(load, cell, pipeline, stage):
    renewals = PipelineFactory(name="Renewals", is_default=False)
    for position, (key, name, won, lost) in enumerate(
        [("live", "In use", False, False), ("won", "Won", True, False), ("gone", "Gone", False, True)]
    ):
        StageFactory(
            pipeline=renewals,
            key=key,
            name=name,
            position=position,
            is_won=won,
            is_lost=lost,
            probability=100 * won,
        )
    sales = Pipeline.objects.get(is_default=True)
    StageFactory(pipeline=sales, key="legal", name="Legal review", position=3)
    figures, issues = load(f"name,stage\nBig,{cell}\n", "opportunity")
    assert (figures["created"], issues) == (1, [])
    deal = Opportunity.objects.get()
    assert (deal.pipeline.name, deal.stage) == (pipeline, stage)


def test_what_an_own_export_says_of_the_status_is_what_its_stage_says(load):
    load("external_id,name,stage\nx1,Big,closed_won\n", "opportunity")
    pk = Opportunity.objects.get().pk
    load(f"id,name,stage,status,owner\n{pk},Big,negotiation,won,\n", "opportunity", duplicates="update")
    assert Opportunity.objects.get().stage == "negotiation"


def test_tags_that_are_quoted_inside_their_cell_are_tags(load):
    load('last_name,tags\nA,"""vip"",""new one"""\nB,* myContacts ::: Friends\n')
    tags = Lead.objects.order_by("last_name").values_list("tags", flat=True)
    assert list(tags) == [["vip", "new one"], ["* myContacts", "Friends"]]


@pytest.mark.parametrize(("mark", "amount"), [(";", "1000.00"), (",", "1.00")])
def test_points_between_three_digits_are_read_by_the_delimiter_and_said(load, mark, amount):
    load(f"last_name{mark}estimated_value\nA{mark}1.000\n")
    assert str(Lead.objects.get().estimated_value.normalize().quantize(Decimal("0.01"))) == amount
    [note] = [n["message"] for n in load.notes if n["code"] == "ambiguous_numbers"]
    assert note.startswith('"estimated_value": 1.000 is read as 1')


def test_a_column_that_mixes_day_and_month_is_refused_unless_a_format_is_given(load):
    text = "last_name,next_follow_up_at\nA,13/04/2024\nB,04/13/2024\nC,03/04/2024\n"
    with pytest.raises(InvalidError) as refused:
        load(text)
    assert [(i.field, i.code) for i in refused.value.issues] == [("date_format", "ambiguous")]
    assert not Lead.objects.exists()
    figures, entries = load(text, date_format="DMY")
    assert (figures["created"], [e.row for e in entries]) == (3, [3])
    assert Lead.objects.get(last_name="C").next_follow_up_at.date() == date(2024, 4, 3)
