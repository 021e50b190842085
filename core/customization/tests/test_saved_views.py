"""Saved views: what they may hold, whose they are, and lists through them."""

import pytest

from core.conditions.models import SavedView
from core.customization.tests.factories import CustomFieldFactory, SavedViewFactory
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/saved_views/"
VIEW = {"entity": "lead", "name": "Hot", "conditions": {"field": "lead_score", "op": "gt", "value": 70}}


@pytest.fixture
def view_of(make_user):
    def make(owner=None, **fields):
        body = {"entity": "lead", "name": f"View {SavedView.objects.count()}", **fields}
        return SavedViewFactory(owner=owner or make_user("rep"), **body)

    return make


def test_a_view_is_its_makers_and_private_at_first(api, rep):
    made = api(rep).post(URL, VIEW | {"ordering": "-lead_score", "fields": ["id", "email"], "search": "ada"})
    assert made.status_code == 201
    body = made.json()
    assert (body["owner"], body["is_shared"]) == (rep.pk, False)
    assert body["conditions"] == VIEW["conditions"]
    assert (body["ordering"], body["fields"], body["search"]) == ("-lead_score", ["id", "email"], "ada")


@pytest.mark.parametrize("role", ["admin", "manager", "rep", "viewer"])
def test_everyone_keeps_views_of_their_own(api, make_user, role):
    client = api(make_user(role))
    made = client.post(URL, VIEW).json()
    assert client.patch(f"{URL}{made['id']}/", {"name": "Hotter"}).json()["name"] == "Hotter"
    assert client.delete(f"{URL}{made['id']}/").status_code == 204


@pytest.mark.parametrize(
    ("wrong", "field", "code"),
    [
        ({"entity": "unicorn"}, "entity", "invalid_choice"),
        ({"conditions": {"nope": 1}}, "conditions.nope", "unknown_field"),
        ({"conditions": {"status": ""}}, "conditions.status", "blank"),
        ({"conditions": {"owner__password": "x"}}, "conditions.owner__password", "unknown_field"),
        ({"conditions": {"any": [{}]}}, "conditions.any[0]", "blank"),
        ({"conditions": "status=new"}, "conditions", "invalid"),
        ({"conditions": None}, "conditions", "null"),
        ({"conditions": {"field": "status", "op": "changed"}}, "conditions.status", "unknown_operator"),
        ({"ordering": "password"}, "ordering", "unknown"),
        ({"fields": ["id", "password"]}, "fields", "unknown"),
        ({"fields": "id"}, "fields", "not_a_list"),
        ({"search": "x" * 201}, "search", "max_length"),
        ({"search": " ".join("abcdefghijk")}, "search", "invalid"),
        ({"name": ""}, "name", "blank"),
        ({"owner": 1}, "owner", "read_only"),
    ],
)  # fmt: skip
def test_a_view_that_would_fail_is_not_saved(api, rep, wrong, field, code):
    response = api(rep).post(URL, VIEW | wrong)
    assert response.status_code == 400
    assert [(e["field"], e["code"]) for e in response.json()["errors"]] == [(field, code)]
    assert not SavedView.objects.exists()


def test_the_entity_of_a_view_stays(api, rep, view_of):
    url = f"{URL}{view_of(rep).pk}/"
    response = api(rep).patch(url, {"entity": "contact"})
    assert [(e["field"], e["code"]) for e in response.json()["errors"]] == [("entity", "immutable")]


def test_a_name_is_taken_once_by_each(api, rep, make_user):
    assert api(rep).post(URL, VIEW).status_code == 201
    assert api(rep).post(URL, VIEW).status_code == 409
    assert api(make_user("rep")).post(URL, VIEW).status_code == 201


def test_shared_views_are_seen_by_all_and_changed_by_their_owner_or_an_administrator(
    api, admin, rep, view_of
):
    private, shared = view_of(), view_of(is_shared=True)
    client = api(rep)
    assert [v["id"] for v in client.get(URL).json()["results"]] == [shared.pk]
    assert client.get(f"{URL}{private.pk}/").status_code == 404
    assert client.patch(f"{URL}{private.pk}/", {"name": "x"}).status_code == 404
    assert client.patch(f"{URL}{shared.pk}/", {"name": "x"}).status_code == 403
    assert client.delete(f"{URL}{shared.pk}/").status_code == 403
    assert admin.patch(f"{URL}{shared.pk}/", {"name": "Tidied"}).json()["owner"] == shared.owner_id
    assert admin.patch(f"{URL}{private.pk}/", {"name": "x"}).status_code == 404
    assert SavedView.objects.get(pk=private.pk).name == private.name


def test_a_list_through_a_view_is_filtered_ordered_and_cut_to_its_columns(api, admin, rep, view_of):
    view = view_of(
        rep, conditions={"city": "Turin"}, ordering="-first_name", fields=["id", "first_name"], search="ad"
    )
    for name, city in (("Ada", "Turin"), ("Adele", "Turin"), ("Adam", "Rome"), ("Bob", "Turin")):
        LeadFactory(first_name=name, city=city, owner=rep)
    client = api(rep)
    found = client.get("/api/v1/leads/", {"view": view.pk}).json()
    assert [row["first_name"] for row in found["results"]] == ["Adele", "Ada"]
    assert set(found["results"][0]) == {"id", "first_name"}
    narrowed = client.get(
        "/api/v1/leads/", {"view": view.pk, "search": "ele", "ordering": "id", "fields": "city"}
    )
    assert narrowed.json()["results"] == [{"city": "Turin"}]
    assert client.get("/api/v1/leads/statistics/", {"view": view.pk}).json()["total"] == 2
    assert admin.get("/api/v1/leads/", {"view": view.pk}).status_code == 400
    assert client.get("/api/v1/contacts/", {"view": view.pk}).status_code == 400


@pytest.mark.parametrize("given", ["x", "0", "99999999999999999999", "1,2", "-1"])
def test_a_view_that_is_not_there_is_a_400(admin, given):
    response = admin.get("/api/v1/leads/", {"view": given})
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "view"


def test_a_view_whose_field_is_gone_says_so(api, admin, rep, view_of):
    field = CustomFieldFactory(entity="lead", key="size", type="number")
    view = view_of(rep, conditions={"custom_fields.size": 5})
    assert api(rep).get("/api/v1/leads/", {"view": view.pk}).status_code == 200
    assert admin.delete(f"/api/v1/custom_fields/{field.pk}/?force=true").status_code == 204
    response = api(rep).get("/api/v1/leads/", {"view": view.pk})
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "view.custom_fields.size"


def test_the_list_of_views_is_filtered(api, rep, view_of):
    one, two = view_of(rep), view_of(rep, entity="contact", is_shared=True)
    client = api(rep)

    def ids(**params):
        return [v["id"] for v in client.get(URL, params).json()["results"]]

    assert ids() == [one.pk, two.pk]
    assert ids(entity="contact") == [two.pk]
    assert ids(is_shared="false") == [one.pk]
    assert client.get(URL, {"colour": "red"}).status_code == 400
