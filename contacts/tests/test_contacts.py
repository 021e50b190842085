"""Contacts: several addresses with one primary, companies, duplicates, figures, who sees what."""

import pytest
from django.utils import timezone

from contacts.models import Contact
from contacts.tests.factories import CompanyFactory, ContactFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/contacts/"


def create(client, **fields):
    response = client.post(URL, {"first_name": "Ada"} | fields)
    assert response.status_code == 201, response.json()
    return response.json()


def test_a_contact_is_created_with_everything_there_is(api, rep):
    company = CompanyFactory(name="Engines", owner=rep)
    body = {
        "first_name": "Ada",
        "last_name": "Byron",
        "email": "ADA@Engines.example",
        "additional_emails": ["ada@home.example"],
        "phone": "020 7946 0123",
        "mobile": "0044 20 7946 0018",
        "additional_phones": ["+14155550199"],
        "job_title": "Analyst",
        "department": "Mathematics",
        "company": company.pk,
        "website": "engines.example/ada",
        "address": "12 St James's Square",
        "city": "London",
        "state": "England",
        "postal_code": "SW1Y",
        "country": "United Kingdom",
        "source": "Referral",
        "last_contacted_at": "2030-01-31T09:00:00Z",
        "do_not_contact": True,
        "notes": " as written ",
        "tags": ["vip", "vip", " east "],
        "external_id": "42",
    }
    made = create(api(rep), **body)
    expected = body | {
        "email": "ada@engines.example",
        "phone": "+442079460123",
        "mobile": "+442079460018",
        "website": "https://engines.example/ada",
        "company_name": "Engines",
        "lead_source": "Referral",
        "tags": ["vip", "east"],
        "last_contacted_at": "2030-01-31T09:00:00.000000Z",
    }
    expected.pop("source")
    assert {name: made[name] for name in expected} == expected
    assert (made["owner"], made["assigned_to"], made["created_by"], made["version"]) == (
        rep.pk,
        None,
        rep.pk,
        1,
    )


# -- several addresses, one primary -------------------------------------------------------------


def test_the_first_address_becomes_the_primary_one(api, rep):
    made = create(
        api(rep), additional_emails=["a@x.example", "b@x.example"], additional_phones=["+14155550101"]
    )
    assert (made["email"], made["additional_emails"]) == ("a@x.example", ["b@x.example"])
    assert (made["phone"], made["additional_phones"]) == ("+14155550101", [])


def test_the_primary_address_is_not_repeated(api, rep):
    made = create(
        api(rep), email="a@x.example", additional_emails=["A@x.example", "b@x.example", "b@x.example"]
    )
    assert (made["email"], made["additional_emails"]) == ("a@x.example", ["b@x.example"])


def test_taking_the_primary_away_promotes_the_next(api, rep):
    made = create(api(rep), email="a@x.example", additional_emails=["b@x.example", "c@x.example"])
    changed = api(rep).patch(f"{URL}{made['id']}/", {"email": ""}).json()
    assert (changed["email"], changed["additional_emails"]) == ("b@x.example", ["c@x.example"])


def test_making_another_address_the_primary_one_keeps_it_once(api, rep):
    made = create(api(rep), email="a@x.example", additional_emails=["b@x.example"])
    changed = (
        api(rep)
        .patch(
            f"{URL}{made['id']}/",
            {"email": "b@x.example", "additional_emails": ["a@x.example", "b@x.example"]},
        )
        .json()
    )
    assert (changed["email"], changed["additional_emails"]) == ("b@x.example", ["a@x.example"])


def test_any_address_finds_its_contact(api, rep):
    made = create(api(rep), email="a@x.example", additional_emails=["b@x.example"])
    create(api(rep), email="c@x.example")
    for address in ("a@x.example", "B@x.example"):
        found = api(rep).get(URL, {"any_email": address}).json()["results"]
        assert [r["id"] for r in found] == [made["id"]]


# -- possible duplicates ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "twin",
    [
        {"email": "A@x.example"},
        {"email": "second@x.example"},
        {"additional_emails": ["new@x.example", "a@x.example"]},
        {"phone": "+1 415 555 0123"},
        {"mobile": "4155550123", "country": "US"},
        {"phone": "+14155550124"},
        {"phone": "+14155550199"},
    ],
)
def test_a_possible_duplicate_is_named(api, rep, twin):
    first = create(
        api(rep),
        last_name="Byron",
        email="a@x.example",
        additional_emails=["second@x.example"],
        phone="+14155550123",
        mobile="+14155550124",
        additional_phones=["+14155550199"],
    )
    assert first["possible_duplicates"] == []
    second = create(api(rep), **twin)
    assert second["possible_duplicates"] == [{"id": first["id"], "name": "Ada Byron"}]


def test_who_asks_for_it_gets_a_conflict_in_place_of_a_duplicate(api, rep):
    create(api(rep), email="a@x.example")
    response = api(rep).post(f"{URL}?on_duplicate=reject", {"first_name": "A", "email": "a@x.example"})
    assert response.status_code == 409
    assert response.json()["type"] == "/problems/possible-duplicate"
    assert Contact.objects.count() == 1
    assert (
        api(rep).post(f"{URL}?on_duplicate=reject", {"first_name": "A", "email": "b@x.example"}).status_code
        == 201
    )
    assert api(rep).post(f"{URL}?on_duplicate=perhaps", {"first_name": "A"}).status_code == 400


def test_nobody_learns_of_hidden_or_archived_contacts_by_duplicates(api, rep, make_user):
    create(api(make_user("rep")), email="a@x.example")
    ContactFactory(first_name="Gone", email="a@x.example", owner=rep, archived_at=timezone.now())
    assert create(api(rep), email="a@x.example")["possible_duplicates"] == []
    assert (
        api(make_user("rep"))
        .post(f"{URL}?on_duplicate=reject", {"first_name": "A", "email": "a@x.example"})
        .status_code
        == 201
    )


def test_contacts_without_any_address_are_nobodys_duplicates(api, rep):
    create(api(rep))
    assert create(api(rep))["possible_duplicates"] == []


# -- companies ----------------------------------------------------------------------------------


def test_the_contacts_of_a_company_are_found_by_filter(api, rep):
    company = CompanyFactory(name="Engines", owner=rep)
    made = create(api(rep), company=company.pk)
    create(api(rep), first_name="Other")
    found = api(rep).get(URL, {"company": company.pk, "expand": "company"}).json()["results"]
    assert [r["id"] for r in found] == [made["id"]]
    assert found[0]["company"] == {"id": company.pk, "name": "Engines"}


def test_a_name_that_was_given_stays_beside_the_link(api, rep):
    company = CompanyFactory(name="Analytical Engines Ltd", owner=rep)
    assert create(api(rep), company=company.pk, company_name="Engines")["company_name"] == "Engines"


@pytest.mark.parametrize("state", ["hidden", "archived", "missing"])
def test_a_company_one_cannot_point_at(api, rep, make_user, state):
    owner = make_user("rep") if state == "hidden" else rep
    company = CompanyFactory(
        name="X", owner=owner, archived_at=timezone.now() if state == "archived" else None
    )
    pk = 999_999 if state == "missing" else company.pk
    response = api(rep).post(URL, {"first_name": "Ada", "company": pk})
    assert response.status_code == 400
    assert response.json()["errors"] == [
        {
            "field": "company",
            "code": "does_not_exist",
            "message": f'Invalid id "{pk}": there is no such company.',
        }
    ]


@pytest.mark.parametrize(
    "bad",
    [
        {"first_name": ""},
        {"first_name": None},
        {"first_name": "x" * 101},
        {"last_name": "a\x00b"},
        {"last_name": ["list"]},
        {"email": "nobody"},
        {"additional_emails": ["nobody"]},
        {"additional_emails": "a@x.example"},
        {"additional_emails": ["a@x.example"] * 2 + [f"{i}@x.example" for i in range(30)]},
        {"phone": "call me"},
        {"additional_phones": ["call me"]},
        {"website": "javascript:alert(1)"},
        {"do_not_contact": "maybe"},
        {"last_contacted_at": "yesterday"},
        {"company": -1},
        {"owner": 99999999999999999999},
        {"tags": [1]},
        {"tags": ["x" * 61]},
        {"custom_fields": []},
        {"id": 5},
        {"version": 7},
        {"search_text": "x"},
    ],
)
def test_bad_values_are_refused_at_their_field(api, rep, bad):
    response = api(rep).post(URL, {"first_name": "Ada"} | bad)
    assert response.status_code == 400
    assert [e["field"] for e in response.json()["errors"]] == [next(iter(bad))]
    assert not Contact.objects.exists()


def test_statistics_are_exact_and_ones_own(api, rep, make_user, django_assert_max_num_queries):
    company = CompanyFactory(name="Engines", owner=rep)
    create(api(rep), email="a@x.example", company=company.pk, country="Italy")
    create(api(rep), phone="+14155550123", company_name="Engines", country="Italy", do_not_contact=True)
    create(api(rep), country="France")
    create(api(make_user("rep")), email="hidden@x.example")
    client = api(rep)
    with django_assert_max_num_queries(3):
        found = client.get(f"{URL}statistics/").json()
    assert found == {
        "total": 3,
        "with_email": 1,
        "with_phone": 1,
        "with_company": 1,
        "do_not_contact": 1,
        "by_company": {"Engines": 2},
        "by_country": {"Italy": 2, "France": 1},
    }
    assert client.get(f"{URL}statistics/", {"country": "Italy"}).json()["total"] == 2
