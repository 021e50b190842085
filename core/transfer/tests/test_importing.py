"""Rows into records: checked, matched, written, reported."""

import io

import pytest
from django.db import connection

from contacts.models import Company
from core.changes import audit_context
from core.changes.models import Change
from core.customization.tests.factories import CustomFieldFactory
from core.entities import entities
from core.transfer.importing import Import
from core.transfer.options import parse
from core.transfer.planning import plan
from core.transfer.reading import open_table
from lead_management.models import Lead
from opportunities.models import Opportunity

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


def test_rows_become_leads_with_their_defaults_and_their_change_rows(load, admin_user):
    figures, _ = load("First Name,E-mail Address,Company\nAda,ADA@x.example,Engines\nBob,,\n")
    assert figures == {"read": 2, "created": 2, "updated": 0, "unchanged": 0, "skipped": 0, "failed": 0}
    ada = Lead.objects.get(first_name="Ada")
    assert (ada.email, ada.company_name, ada.status, ada.owner_id, ada.created_by_id) == (
        "ada@x.example",
        "Engines",
        "new",
        admin_user.pk,
        admin_user.pk,
    )
    changes = Change.objects.filter(entity="lead", import_id=77)
    assert (
        sorted(changes.values_list("kind", "source", "actor_id"))
        == [("created", "import", admin_user.pk)] * 2
    )


def test_every_fault_of_a_row_is_reported(load):
    figures, entries = load(
        "first_name,email,status,estimated_value\n,nope,weird,much\nB,b@x.example,new,5\n"
    )
    assert (figures["created"], figures["failed"]) == (1, 1)
    found = [(e["row"], e["line"], e["column"], e["field"], e["code"], e["value"]) for e in entries[0].errors]
    assert found == [
        (2, 2, "email", "email", "invalid", "nope"),
        (2, 2, "status", "status", "invalid_choice", "weird"),
        (2, 2, "estimated_value", "estimated_value", "invalid", "much"),
    ]


def test_update_by_email_keeps_what_is_blank_and_counts_what_is_unchanged(load):
    load("first_name,email,job_title,city\nA,a@x.example,Clerk,Rome\nB,b@x.example,Boss,Bern\n")
    figures, _ = load(
        "first_name,email,job_title,city\nA, A@X.example ,Chief,\nB,b@x.example,Boss,Bern\nC,c@x.example,,\n",
        update_existing="true",
    )
    assert figures == {"read": 3, "created": 1, "updated": 1, "unchanged": 1, "skipped": 0, "failed": 0}
    a = Lead.objects.get(email="a@x.example")
    assert (a.job_title, a.city) == ("Chief", "Rome")


def test_clear_blank_empties_what_is_blank(load):
    load("first_name,email,city\nA,a@x.example,Rome\n")
    load("first_name,email,city\nA,a@x.example,\n", update_existing="true", clear_blank="true")
    assert Lead.objects.get().city == ""


@pytest.mark.parametrize(
    ("duplicates", "figures"),
    [
        ("skip", (1, 0, 2, 0)),
        ("update", (1, 2, 0, 0)),
        ("create", (3, 0, 0, 0)),
        ("error", (1, 0, 0, 2)),
    ],
)
def test_duplicates_by_rule_inside_the_file_and_against_the_store(load, duplicates, figures):
    load("first_name,email\nOld,a@x.example\n")
    found, entries = load(
        "first_name,email\nA,a@x.example\nB,b@x.example\nC,B@X.example\n", duplicates=duplicates
    )
    assert (found["created"], found["updated"], found["skipped"], found["failed"]) == figures
    assert Lead.objects.count() == 1 + found["created"]
    assert len(entries) == found["skipped"] + found["failed"]


def test_rows_without_a_key_never_match_each_other(load):
    figures, _ = load("first_name,email\nA,\nB,\nC,\n", duplicates="update")
    assert figures["created"] == 3


def test_two_stored_matches_are_a_fault_of_the_row(load):
    load("first_name,email\nA,a@x.example\nB,a@x.example\n", duplicates="create")
    figures, entries = load("first_name,email\nC,a@x.example\n", duplicates="update")
    assert figures["failed"] == 1
    assert entries[0].errors[0]["code"] == "several_matches"


def test_what_the_database_itself_refuses_is_a_fault_of_its_row_alone(load):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE lead_management_lead ADD CONSTRAINT no_bad CHECK (city <> 'Bad')")
    load("first_name,email\nOld,o@x.example\n")
    figures, entries = load(
        "first_name,email,city\nA,a@x.example,\nB,b@x.example,Bad\nC,c@x.example,\nO,o@x.example,Bad\n",
        duplicates="update",
    )
    assert (figures["created"], figures["updated"], figures["failed"]) == (2, 0, 2)
    assert [(e.row, e.errors[0]["code"]) for e in entries] == [(3, "refused"), (5, "refused")]


def test_an_opt_out_is_never_undone(load):
    load("first_name,email,do_not_contact\nA,a@x.example,yes\n")
    load("first_name,email,do_not_contact\nA,a@x.example,no\n", duplicates="update")
    assert Lead.objects.get().do_not_contact is True


def test_owners_are_found_by_username_email_or_name_and_unknown_ones_are_the_importer(
    load, make_user, admin_user
):
    rep = make_user("rep", username="ines", first_name="Inés", last_name="Gómez")
    text = "first_name,owner\nA,ines\nB,INES@crm.example\nC,Inés Gómez\nD,nobody\n"
    figures, _ = load(text)
    assert figures["created"] == 4
    owners = dict(Lead.objects.values_list("first_name", "owner_id"))
    assert owners == dict.fromkeys("ABC", rep.pk) | {"D": admin_user.pk}
    [note] = load.notes
    assert (note["code"], note["column"], note["rows"]) == ("unknown_reference", "owner", 1)
    assert "'nobody'" in note["message"]
    figures, entries = load(text, on_bad_value="error")
    assert (figures["created"], figures["failed"]) == (3, 1)
    assert entries[0].errors[0]["code"] == "does_not_exist"


def test_a_rep_cannot_import_out_of_their_own_reach(load, make_user):
    rep, other = make_user("rep"), make_user("rep")
    figures, entries = load(f"first_name,owner,assigned_to\nA,{other.username},\nB,,\n", user=rep)
    assert (figures["created"], figures["failed"]) == (1, 1)
    assert entries[0].errors[0]["code"] == "permission_denied"
    assert Lead.objects.get().owner_id == rep.pk


def test_a_rep_cannot_give_away_what_they_own_and_the_other_rows_are_changed(load, make_user):
    rep, other = make_user("rep"), make_user("rep")
    load("first_name,email\nA,a@x.example\nB,b@x.example\n", user=rep)
    text = f"first_name,email,owner\nA2,a@x.example,{other.username}\nB2,b@x.example,\n"
    figures, entries = load(text, user=rep, duplicates="update")
    assert (figures["updated"], figures["failed"]) == (1, 1)
    assert entries[0].errors[0]["code"] == "permission_denied"
    assert sorted(Lead.objects.values_list("first_name", "owner_id")) == [("A", rep.pk), ("B2", rep.pk)]


def test_missing_companies_are_made_once_where_that_is_asked_for(load):
    text = "name,company,amount\nOne,Acme,5\nTwo,acme,6\n"
    strict = {"mapping": {"name": "name", "company": "company"}, "on_bad_value": "error"}
    assert load(text, "opportunity", **strict)[0]["failed"] == 2
    figures, entries = load(text, "opportunity", create_missing="true")
    assert figures["created"] == 2, entries
    assert list(Company.objects.values_list("name", flat=True)) == ["Acme"]


def test_a_company_that_cannot_be_made_says_what_it_lacks(load):
    CustomFieldFactory(entity="company", key="size", type="number", required=True)
    _, entries = load("first_name,last_name,company\nA,B,Engines\n", "contact", create_missing="true")
    assert entries[0].errors[0]["message"] == (
        "Left empty: No company 'Engines' can be made: custom_fields.size: This field is required."
    )


def test_a_company_that_is_not_here_is_kept_as_a_name(load):
    figures, _ = load("name,company\nOne,Acme\n", "opportunity")
    assert figures["created"] == 1
    assert Opportunity.objects.values_list("company_name", "company_id").get() == ("Acme", None)


def test_phone_numbers_are_read_by_the_country_of_their_row(load):
    figures, _ = load(
        "first_name,phone,country\nA,020 7123 4567,United Kingdom\nB,(415) 555-0123,\nC,030 901820,DEU\n",
        phone_region="US",
    )
    assert figures["created"] == 3
    assert dict(Lead.objects.values_list("first_name", "phone")) == {
        "A": "+442071234567",
        "B": "+14155550123",
        "C": "+4930901820",
    }


def test_words_are_known_however_they_are_spelled(load):
    figures, entries = load(
        "first_name,lead_source\nA,LinkedIn\nB,Trade Show\nC,google-ads\nD,Carrier pigeon\n"
    )
    assert figures["created"] == 4
    assert dict(Lead.objects.values_list("first_name", "lead_source")) == {
        "A": "social_media",
        "B": "event",
        "C": "advertisement",
        "D": "other",
    }
    assert [(e.kind, e.row, e.errors[0]["value"]) for e in entries] == [("warning", 5, "Carrier pigeon")]


def test_create_makes_a_record_of_every_row_whatever_is_matched_on(load):
    text = "first_name,email\nA,a@x.example\nB,a@x.example\n"
    load(text)
    figures, _ = load(text, duplicates="create", match_on="email")
    assert figures["created"] == 2


def test_rows_that_meet_one_record_by_different_keys_are_written_as_one(load):
    load("first_name,email,external_id\nK,k@x.example,E1\n")
    figures, _ = load(
        "first_name,email,external_id,city,phone\nK,,E1,Berlin,\nK,k@x.example,,,+4930123456\n",
        duplicates="update",
    )
    assert (figures["read"], figures["updated"]) == (2, 2)
    lead = Lead.objects.get()
    assert (lead.city, lead.phone) == ("Berlin", "+4930123456")
