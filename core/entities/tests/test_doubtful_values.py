"""Values that are taken as they are meant, and said to be doubtful where that is not certain."""

import pytest

from contacts.models import Contact
from contacts.tests.factories import CompanyFactory, ContactFactory
from core.changes.models import Change
from core.entities.field_types import Phone
from core.entities.money import read_amount, settled, split_currency
from core.entities.regions import region_of
from core.errors import ValueRefusedError
from lead_management.models import Lead
from opportunities.models import Opportunity

LEADS = "/api/v1/leads/"


@pytest.mark.parametrize(
    ("region", "text", "stored"),
    [
        ("FR", "06 12 34 56 78", "+33612345678"),
        ("IN", "8765432109", "+918765432109"),
        ("GB", "(020) 7946 0018", "+442079460018"),
        ("DE", "0044 20 7946 0018", "+442079460018"),
        ("US", "+33 6 12 34 56 78", "+33612345678"),
        ("US", "(415) 555-0123 ext. 12", "+14155550123;ext=12"),
        ("US", "tel:+14155550123;ext=12", "+14155550123;ext=12"),
        # Nobody can tell, or there is no such number: kept as it is written.
        ("", "06 12 34 56 78", "06 12 34 56 78"),
        ("", "8765432109", "8765432109"),
        ("US", "06 12 34 56 78", "06 12 34 56 78"),
        ("US", "555-0123", "555-0123"),
        ("", "+1234567890", "+1234567890"),
        ("", "ask for 12", "ask for 12"),
    ],
)
def test_a_phone_number_is_placed_by_its_region_and_never_becomes_another(region, text, stored):
    kind = Phone(region=region)
    assert kind.to_internal_value(text) == stored
    assert kind.to_internal_value(stored) == stored
    assert (kind.warning(stored) is None) == (stored != text or stored.startswith("+33"))


def test_a_text_without_digits_is_no_phone_number():
    with pytest.raises(ValueRefusedError):
        Phone().to_internal_value("call me")


@pytest.mark.parametrize(
    ("country", "region"),
    [
        ("GB", "GB"),
        ("deu", "DE"),
        ("USA", "US"),
        ("U.K.", "GB"),
        ("États-Unis", "US"),
        ("Ελλάδα", "GR"),
        ("X", ""),
    ],
)
def test_countries_are_known_by_code_and_by_name(country, region):
    assert region_of(country) == region


@pytest.mark.parametrize(
    ("text", "bare", "codes"),
    [
        ("€1,234.56", "1,234.56", ("EUR",)),
        ("1.234,50 €", "1.234,50", ("EUR",)),
        ("EUR 700", "700", ("EUR",)),
        ("700eur", "700", ("EUR",)),
        ("(US$5.00)", "(5.00)", ("USD",)),
        ("-R$ 10", "-10", ("BRL",)),
        ("$5 CAD", "5", ("CAD",)),
        ("CHF 5.-", "5.-", ("CHF",)),
        ("500円", "500", ("JPY",)),
        ("500", "500", ()),
        ("5 apples", "5 apples", ()),
        ("$5 EUR", "$5 EUR", ()),
    ],
)
def test_a_currency_beside_an_amount_is_read(text, bare, codes):
    assert split_currency(text) == (bare, codes)


def test_a_sign_of_several_currencies_is_settled_by_the_record():
    dollars, crowns = split_currency("$5")[1], split_currency("5 kr")[1]
    assert (settled(dollars, ""), settled(dollars, "CAD"), settled(dollars, "EUR")) == ("USD", "CAD", None)
    assert (settled(crowns, ""), settled(crowns, "NOK")) == (None, "NOK")
    assert read_amount("€1,234.56") == ("1234.56", ("EUR",))
    # A thousand, or a bit over one: for a client of the API to say.
    assert read_amount("€1,234")[0] == "1,234"


# ---- At the API ----

pytestmark = pytest.mark.django_db


def test_a_number_that_cannot_be_placed_is_kept_and_warned_of(admin):
    response = admin.post(LEADS, {"last_name": "A", "phone": "06 12 34 56 78"})
    assert (response.status_code, response.json()["phone"]) == (201, "06 12 34 56 78")
    [warning] = response.json()["warnings"]
    assert (warning["field"], warning["code"]) == ("phone", "kept_as_written")
    assert "warnings" not in admin.get(response["Location"]).json()
    again = admin.patch(response["Location"], {"country": "France", "phone": "06 12 34 56 78"}).json()
    assert again["phone"] == "+33612345678"
    assert "warnings" not in again
    assert admin.patch(response["Location"], {"mobile": "12345"}).json()["warnings"][0]["field"] == "mobile"


def test_a_bulk_change_warns_of_it_too(admin):
    made = [admin.post(LEADS, {"last_name": name}).json()["id"] for name in "ab"]
    body = {"ids": made, "action": "update", "data": {"phone": "06 12 34 56 78"}}
    answer = admin.post(f"{LEADS}bulk_update/", body).json()
    assert answer["updated"] == 2
    assert [(w["field"], w["code"]) for w in answer["warnings"]] == [("phone", "kept_as_written")]
    assert admin.get(f"{LEADS}{made[0]}/").json()["phone"] == "06 12 34 56 78"
    given = body | {"data": {"phone": "06 12 34 56 78", "country": "France"}}
    assert "warnings" not in admin.post(f"{LEADS}bulk_update/", given).json()
    assert admin.get(f"{LEADS}{made[0]}/").json()["phone"] == "+33612345678"


def test_a_bulk_change_reads_numbers_by_the_country_of_each_record(api, make_user):
    client = api(make_user("admin", phone_region="DE"))
    countries = ["France", "IND", "Atlantis", ""]
    made = [client.post(LEADS, {"last_name": "A", "country": name}).json()["id"] for name in countries]
    body = {"ids": made, "action": "update", "data": {"phone": "06 12 34 56 78", "last_name": "B"}}
    answer = client.post(f"{LEADS}bulk_update/", body).json()
    assert [(w["field"], w["code"]) for w in answer["warnings"]] == [("phone", "kept_as_written")]
    assert [client.get(f"{LEADS}{pk}/").json()["phone"] for pk in made] == [
        "+33612345678",
        "06 12 34 56 78",
        "06 12 34 56 78",
        "+49612345678",
    ]


def test_a_number_of_a_country_that_is_not_known_is_nobody_elses(api, make_user):
    client = api(make_user("admin", phone_region="DE"))
    made = client.post(LEADS, {"last_name": "A", "country": "Atlantis", "phone": "030 901820"}).json()
    assert (made["phone"], made["warnings"][0]["code"]) == ("030 901820", "kept_as_written")


def test_a_sign_of_several_currencies_is_that_of_the_record(admin):
    url = "/api/v1/opportunities/"
    deals = [admin.post(url, {"name": "D", "currency": c}).json()["id"] for c in ("AUD", "NOK", "USD")]
    assert admin.patch(f"{url}{deals[0]}/", {"amount": "$7"}).json()["currency"] == "AUD"
    assert admin.patch(f"{url}{deals[1]}/", {"amount": "7 kr"}).json()["currency"] == "NOK"
    body = {"ids": deals, "action": "update", "data": {"amount": "$9"}}
    assert admin.post(f"{url}bulk_update/", body).json()["updated"] == 3
    found = [admin.get(f"{url}{pk}/").json() for pk in deals]
    assert [(d["amount"], d["currency"]) for d in found] == [
        ("9.00", "AUD"),
        ("9.00", "USD"),
        ("9.00", "USD"),
    ]


def test_numbers_are_read_where_their_writer_or_the_site_is(admin, admin_user, settings):
    assert admin.patch("/api/auth/me/", {"phone_region": "IT"}).status_code == 200
    admin_user.refresh_from_db()  # the client goes on with the user it was given
    assert admin.post(LEADS, {"last_name": "A", "phone": "06 698 12345"}).json()["phone"] == "+390669812345"
    admin.patch("/api/auth/me/", {"phone_region": ""})
    admin_user.refresh_from_db()
    settings.CRM = {**settings.CRM, "DEFAULT_PHONE_REGION": "DE"}
    assert admin.post(LEADS, {"last_name": "B", "phone": "030 901820"}).json()["phone"] == "+4930901820"


def test_a_sign_in_an_amount_sets_the_currency_or_contradicts_it(admin):
    made = admin.post(LEADS, {"last_name": "A", "estimated_value": "€1,234.56"}).json()
    assert (made["estimated_value"], made["currency"]) == ("1234.56", "EUR")
    assert admin.patch(f"{LEADS}{made['id']}/", {"estimated_value": "GBP 5"}).json()["currency"] == "GBP"
    changes = Change.objects.count()
    for body in ({"estimated_value": "€5", "currency": "USD"}, {"estimated_value": "5 kr"}):
        refused = admin.patch(f"{LEADS}{made['id']}/", body)
        assert [(e["field"], e["code"]) for e in refused.json()["errors"]] == [
            ("estimated_value", "currency_mismatch")
        ]
    assert Change.objects.count() == changes


@pytest.mark.parametrize("given", ["first_name", "last_name", "email", "phone", "mobile", "company_name"])
@pytest.mark.parametrize(("url", "model"), [(LEADS, Lead), ("/api/v1/contacts/", Contact)])
def test_anything_to_speak_of_is_enough_for_a_lead_or_contact(admin, url, model, given):
    value = {"email": "a@x.example", "phone": "+14155550123", "mobile": "+14155550123"}.get(given, "Ada")
    made = admin.post(url, {given: value})
    assert made.status_code == 201, made.json()
    refused = admin.patch(made["Location"], {given: ""})
    assert [(e["field"], e["code"]) for e in refused.json()["errors"]] == [("first_name", "required")]
    assert getattr(model.objects.get(), given) == value
    assert admin.post(url, {"notes": "nobody"}).status_code == 400
    assert model.objects.count() == 1


def test_a_lead_without_a_name_is_called_by_what_it_has(admin):
    lead = admin.post(LEADS, {"email": "a@x.example"}).json()
    task = admin.post("/api/v1/tasks/?expand=lead", {"title": "Call", "lead": lead["id"]}).json()
    assert task["lead"]["name"] == "a@x.example"


def test_a_deal_without_a_name_is_called_by_its_company_or_contact(admin, admin_user):
    company = CompanyFactory(name="Engines", owner=admin_user)
    contact = ContactFactory(first_name="", email="a@x.example", owner=admin_user)
    url = "/api/v1/opportunities/"
    assert admin.post(url, {"company": company.pk}).json()["name"] == "Engines"
    assert admin.post(url, {"contact": contact.pk}).json()["name"] == "a@x.example"
    assert admin.post(url, {"company_name": "Looms"}).json()["name"] == "Looms"
    refused = admin.post(url, {"amount": "5"})
    assert [(e["field"], e["code"]) for e in refused.json()["errors"]] == [("name", "required")]
    assert Opportunity.objects.count() == 3


# ---- Ids of other systems ----

NAMED = {
    "leads": {"last_name": "A"},
    "contacts": {"last_name": "A"},
    "companies": {"name": "A"},
    "opportunities": {"name": "A"},
    "tasks": {"title": "A"},
}


@pytest.mark.parametrize("resource", NAMED)
def test_an_external_id_belongs_to_one_living_record(admin, resource):
    url, body = f"/api/v1/{resource}/", NAMED[resource] | {"external_id": "E1"}
    first = admin.post(url, body)
    other = admin.post(url, NAMED[resource])
    assert (first.status_code, other.status_code) == (201, 201)
    for refused in (
        admin.post(url, body),
        admin.patch(other["Location"], {"external_id": "E1"}),
        admin.post(
            f"{url}bulk_update/",
            {"ids": [other.json()["id"]], "action": "update", "data": {"external_id": "E1"}},
        ),
    ):
        assert refused.status_code == 400
        assert refused.json()["errors"][0]["code"] == "unique"
        assert refused.json()["errors"][0]["field"].endswith("external_id")
    both = [first.json()["id"], other.json()["id"]]
    several = admin.post(
        f"{url}bulk_update/", {"ids": both, "action": "update", "data": {"external_id": "E2"}}
    )
    assert several.status_code == 400
    assert admin.patch(first["Location"], {"external_id": "E1"}).status_code == 200
    assert admin.delete(first["Location"]).status_code == 204
    assert admin.patch(other["Location"], {"external_id": "E1"}).status_code == 200
    assert admin.post(f"{first['Location']}restore/").status_code == 409
    assert admin.get(first["Location"]).status_code == 404
