"""Companies: domains, parents, duplicates, figures."""

import pytest

from contacts.models import Company
from contacts.tests.factories import CompanyFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/companies/"


def create(client, **fields):
    response = client.post(URL, {"name": "Engines"} | fields)
    assert response.status_code == 201, response.json()
    return response.json()


def test_a_company_is_created_with_everything_there_is(api, rep):
    body = {
        "name": "Analytical Engines",
        "domain": "https://www.Engines.example/about",
        "website": "engines.example",
        "industry": "Machinery",
        "company_size": 40,
        "annual_revenue": "1200000.50",
        "currency": "gbp",
        "phone": "+44 20 7946 0018",
        "email": "INFO@engines.example",
        "city": "London",
        "country": "United Kingdom",
        "notes": "",
    }
    made = create(api(rep), **body)
    expected = body | {
        "domain": "engines.example",
        "website": "https://engines.example",
        "currency": "GBP",
        "phone": "+442079460018",
        "email": "info@engines.example",
    }
    assert {name: made[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"domain": "WWW.X.Example"}, "x.example"),
        ({"domain": "http://x.example:8080/path?q#f"}, "x.example"),
        ({"domain": "someone@x.example"}, "x.example"),
        ({"website": "https://www.x.example/about"}, "x.example"),
        ({"website": "https://x.example", "domain": "y.example"}, "y.example"),
        ({}, ""),
    ],
)
def test_the_domain_is_kept_bare(api, rep, given, kept):
    assert create(api(rep), **given)["domain"] == kept


@pytest.mark.parametrize("bad", ["localhost", "http://", "[", "a b"])
def test_what_is_no_domain_is_refused(api, rep, bad):
    response = api(rep).post(URL, {"name": "X", "domain": bad})
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "domain"


def test_a_known_domain_is_not_taken_over_by_a_new_website(api, rep):
    made = create(api(rep), domain="x.example")
    changed = api(rep).patch(f"{URL}{made['id']}/", {"website": "https://y.example"}).json()
    assert changed["domain"] == "x.example"


def test_a_company_is_never_below_itself(api, rep):
    top = create(api(rep), name="Top")
    middle = create(api(rep), name="Middle", parent=top["id"])
    bottom = create(api(rep), name="Bottom", parent=middle["id"])
    for parent in (top, middle, bottom):
        response = api(rep).patch(f"{URL}{top['id']}/", {"parent": parent["id"]})
        assert response.status_code == 400, parent
        assert response.json()["errors"][0] == {
            "field": "parent",
            "code": "cycle",
            "message": "A company cannot be below itself.",
        }
    found = api(rep).get(URL, {"parent": top["id"]}).json()["results"]
    assert [r["name"] for r in found] == ["Middle"]


def test_a_hidden_parent_is_refused(api, rep, make_user):
    hidden = create(api(make_user("rep")))
    response = api(rep).post(URL, {"name": "Child", "parent": hidden["id"]})
    assert response.json()["errors"][0]["code"] == "does_not_exist"


@pytest.mark.parametrize(
    ("twin", "named"),
    [
        ({"name": "ENGINES"}, True),
        ({"name": "Other", "domain": "www.engines.example"}, True),
        ({"name": "Other", "website": "https://engines.example"}, True),
        ({"name": "Engine"}, False),
        ({"name": "Other"}, False),
    ],
)
def test_possible_duplicates_are_named_by_name_or_domain(api, rep, twin, named):
    first = create(api(rep), domain="engines.example")
    found = create(api(rep), **twin)["possible_duplicates"]
    assert found == ([{"id": first["id"], "name": "Engines"}] if named else [])


def test_who_asks_for_it_gets_a_conflict(api, rep):
    create(api(rep))
    assert api(rep).post(f"{URL}?on_duplicate=reject", {"name": "engines"}).status_code == 409
    assert Company.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_companies_do_not_become_each_others_parent_at_once(at_once, api, admin_user):
    one, two = (CompanyFactory(name=name, owner=admin_user) for name in ("One", "Two"))

    def below(child, parent):
        return api(admin_user).patch(f"{URL}{child.pk}/", {"parent": parent.pk}).status_code

    statuses = at_once(lambda: below(one, two), lambda: below(two, one))
    assert sorted(statuses) == [200, 400]


@pytest.mark.parametrize(
    "bad",
    [
        {"name": " "},
        {"name": "x" * 201},
        {"company_size": -1},
        {"company_size": 2**31},
        {"annual_revenue": "-1"},
        {"annual_revenue": "1e400"},
        {"annual_revenue": "Infinity"},
        {"currency": "DOLLARS"},
        {"website": "ftp://x.example"},
        {"parent": "Top"},
        {"email": "a@"},
    ],
)
def test_bad_values_are_refused_at_their_field(api, rep, bad):
    response = api(rep).post(URL, {"name": "Engines"} | bad)
    assert response.status_code == 400
    assert [e["field"] for e in response.json()["errors"]] == [next(iter(bad))]
    assert not Company.objects.exists()


def test_statistics_are_exact(api, rep, django_assert_max_num_queries):
    create(api(rep), name="A", industry="Retail", country="Italy", domain="a.example")
    create(api(rep), name="B", industry="Retail", country="France")
    create(api(rep), name="C")
    client = api(rep)
    with django_assert_max_num_queries(3):
        found = client.get(f"{URL}statistics/").json()
    assert found == {
        "total": 3,
        "with_domain": 1,
        "by_industry": {"Retail": 2},
        "by_country": {"France": 1, "Italy": 1},
    }


def test_a_company_that_is_gone_for_good_leaves_its_people(admin):
    made = create(admin)
    person = admin.post("/api/v1/contacts/", {"first_name": "Ada", "company": made["id"]}).json()
    assert admin.delete(f"{URL}{made['id']}/?hard=true").status_code == 204
    left = admin.get(f"/api/v1/contacts/{person['id']}/").json()
    assert (left["company"], left["company_name"]) == (None, "Engines")
