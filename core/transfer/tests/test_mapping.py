# ruff: noqa: RUF001  (letters of several alphabets are what it is about)
"""Where columns go: by their headers in several languages, and by what stands in them."""

import csv
import io

import pytest

from core.customization.tests.factories import CustomFieldFactory
from core.entities import entities
from core.errors import InvalidError
from core.transfer.options import parse
from core.transfer.planning import plan
from core.transfer.reading import open_table

pytestmark = pytest.mark.django_db


def mapped(text, entity="lead"):
    """Header → target of what is propose_mapping for a file."""
    made = plan(entities[entity], open_table(io.BytesIO(text.encode())), parse({}), None)
    return {m.header: m.target.name if m.target else None for m in made.mapped}


def by_header(header, entity="lead", value="Some thing"):
    return mapped(f"{header},Xyzzy\n{value},plugh\n", entity)[header]


@pytest.mark.parametrize(
    ("header", "entity", "field"),
    [
        ("BILLINGSTREET", "company", "address"),
        ("BILLINGPOSTALCODE", "company", "postal_code"),
        ("ACCOUNTID", "company", "external_id"),
        ("ACCOUNTID", "contact", "company.external_id"),
        ("CONTACTID", "contact", "external_id"),
        ("Associated Company ID", "opportunity", "company.external_id"),
        ("Associated Contact IDs", "opportunity", "contact.external_id"),
        ("organization_id", "contact", "company.external_id"),
        ("ProspectID", "lead", "external_id"),
        ("EVENTID", "task", "external_id"),
        ("Start DateTime", "task", "due_date"),
        ("User Email", "lead", "email"),
        ("Attendee Email Address", "lead", "email"),
        ("Mobile No.", "lead", "mobile"),
        ("Customer City", "lead", "city"),
        ("Person - Phone - Mobile", "contact", "mobile"),
        ("★ First Name *", "lead", "first_name"),
        ("Last Name (required)", "lead", "last_name"),
        ("# Employees", "lead", "company_size"),
        ("Deal - Contact person", "opportunity", "contact"),
        ("Deal - Status", "opportunity", "status"),
        ("Unsubscribed Time", "contact", "do_not_contact"),
        ("Marketing Consent", "contact", "opt_in"),
        ("☎ Contact", "lead", "phone"),
        ("📧", "lead", "email"),
        ("البريد الإلكتروني", "lead", "email"),
        ("رقم الهاتف", "lead", "phone"),
        ("Επώνυμο", "lead", "last_name"),
        ("Soyadı", "lead", "last_name"),
        ("회사명", "lead", "company_name"),
        # Similar is not the same.
        ("Spouse Email", "lead", None),
        ("Assistant Name", "lead", None),
        ("Owner ID", "lead", None),
        ("Number", "lead", "phone"),
        ("Custom field state", "lead", None),
    ],
)
def test_a_header_is_known_by_its_words(header, entity, field):
    value = {"email": "a@x.example", "phone": "+33612345678", "last_name": "Byron"}.get(
        field or "", "Some thing"
    )
    assert by_header(header, entity, value) == field


@pytest.mark.parametrize("entity", list(entities), ids=lambda entity: entity.name)
def test_a_header_that_is_a_name_of_ours_is_known_by_it(admin, entity):
    CustomFieldFactory(entity=entity.name, key="plan", label="Chosen tariff", type="text")
    template = admin.get(f"/api/v1/import/{entity.plural}/").content.decode()
    [headers] = csv.reader(template.splitlines()[:1])
    assert "custom_fields.plan" in headers
    unknown = [header for header in headers if header != "id" and by_header(header, entity.name) != header]
    assert unknown == []


@pytest.mark.parametrize(
    ("header", "entity"),
    [("company.external_id", "contact"), ("owner.email", "lead"), ("contact.email", "opportunity")],
)
def test_a_part_of_a_reference_is_known_by_its_name(header, entity):
    assert by_header(header, entity) == header


def test_a_county_is_a_state_only_where_there_is_none():
    assert mapped("County,name\nKent,A\n")["County"] == "state"
    found = mapped("County,State,name\nKent,England,A\n")
    assert (found["County"], found["State"]) == (None, "state")


def test_one_header_in_three_dresses_is_taken_once():
    found = mapped("name,Name,NAME\nAda Byron,x,y\n")
    assert list(found.values()) == ["full_name", None, None]


def test_a_site_without_web_addresses_is_no_website():
    assert mapped("SITE,name\nNorth plant,A B\n")["SITE"] is None
    assert mapped("Site,name\nacme.example,A B\n")["Site"] == "website"


def test_surnames_that_hold_whole_names_are_whole_names():
    assert mapped("Nom,Ville\nMarie Curie,Paris\nJean Dupont,Lyon\n")["Nom"] == "full_name"
    assert mapped("Nom,Prénom\nde la Tour,Marie\nDupont,Jean\n")["Nom"] == "last_name"
    assert mapped("Nom,Ville\nCurie,Paris\nDupont,Lyon\n")["Nom"] == "last_name"


@pytest.mark.parametrize(
    ("cells", "field"),
    [
        (["a@x.example", "b@y.example", "c@z.example"], "email"),
        (["+33 6 12 34 56 78", "(415) 555-0123", "030/901820"], "phone"),
        (["https://a.example", "https://b.example/x", "https://c.example"], "website"),
        (["Ada Byron", "Bob Stone", "Chiara Rossi"], "full_name"),
        # Anything may be meant.
        (["2024-01-31", "2024-02-01", "2024-02-02"], None),
        (["4155550123", "4155550124", "4155550125"], None),
        (
            ["https://network.example/in/a", "https://network.example/in/b", "https://network.example/in/c"],
            None,
        ),
        (["red", "green", "blue"], None),
    ],
)
def test_a_column_is_known_by_what_stands_in_it(cells, field):
    text = "Xyzzy;City\n" + "".join(f"{cell};Rome\n" for cell in cells)
    assert mapped(text)["Xyzzy"] == field


@pytest.mark.parametrize("entity", ["lead", "contact"])
def test_the_status_of_a_mailing_list_is_about_wanting_mail(entity):
    found = mapped("Email,Status\na@x.example,Subscribed\nb@x.example,Unsubscribed\n", entity)
    assert found["Status"] == "do_not_contact"
    found = mapped("Email,Status\na@x.example,new\nb@x.example,Unsubscribed\n", entity)
    assert found["Status"] == ("status" if entity == "lead" else None)


@pytest.mark.parametrize("entity", ["lead", "company"])
def test_ids_beside_names_alone_are_refused_until_somebody_says_whose_they_are(entity):
    name = "first_name" if entity == "lead" else "name"
    with pytest.raises(InvalidError) as refused:
        mapped(f"id,{name},email\n1,Ada,a@x.example\n", entity)
    assert [(i.field, i.code) for i in refused.value.issues] == [("mapping", "ambiguous_id")]
    assert mapped("id,first_name,lead_score\n1,Ada,5\n")["id"] == "id"
    assert mapped("id,notes\n1,Ada\n")["id"] == "id"
    assert mapped("id,first_name,gender\n1,Ada,f\n")["id"] == "external_id"


def test_the_answers_of_a_mailing_list_are_known_by_its_words():
    headers = "Email,Email Marketing Consent,Email Suppressions"
    text = f"{headers}\na@x.de,NEVER_SUBSCRIBED,\nb@x.de,SUBSCRIBED,HARD_BOUNCE\n"
    found = mapped(text, "contact")
    assert found["Email Marketing Consent"] == found["Email Suppressions"] == "do_not_contact"
