"""Saved views shared with users and teams, beside those that are shared with everyone."""

import pytest

from core.customization.tests.factories import SavedViewFactory
from core.entities.usage import sources
from core.sharing.models import Share
from core.sharing.tests.factories import ShareFactory
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/saved_views/"


@pytest.fixture
def view(people):
    condition = {"field": "first_name", "op": "eq", "value": "Ada"}
    return SavedViewFactory(owner=people["owner"], name="Adas", conditions=condition)


def test_a_view_is_shared_to_be_read_or_changed_and_taken_back(api, people, view):
    owner, rep, url = api(people["owner"]), api(people["rep"]), f"{URL}{view.pk}/"
    assert rep.get(url).status_code == 404
    made = owner.post(f"{url}shares/", {"team": "West"})
    assert (made.status_code, made.json()["team"]["name"], made.json()["access"]) == (201, "West", "read")
    assert rep.get(url).json()["name"] == "Adas"
    assert rep.patch(url, {"name": "Mine"}).status_code == 403
    again = owner.post(f"{url}shares/", {"team": people["west"].pk, "access": "write"})
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    assert rep.patch(url, {"name": "Ours"}).status_code == 200
    assert rep.patch(url, {"is_shared": True}).status_code == 403
    assert rep.delete(url).status_code == 403
    assert rep.post(f"{url}shares/", {"user": people["stranger"].pk}).status_code == 403
    assert rep.get(f"{url}shares/").json()["count"] == 1
    view.refresh_from_db()
    assert (view.name, view.is_shared, Share.objects.count()) == ("Ours", False, 1)
    assert owner.delete(f"{url}shares/{made.json()['id']}/").status_code == 204
    assert rep.get(url).status_code == 404


def test_a_shared_view_is_listed_once_and_lists_through_it(api, people, view):
    ShareFactory(record=view, user=people["rep"])
    ShareFactory(record=view, team=people["west"], access="write")
    SavedViewFactory(owner=people["owner"], is_shared=True)
    own = SavedViewFactory(owner=people["rep"])
    client = api(people["rep"])
    assert client.get(URL).json()["count"] == 3
    assert [row["id"] for row in client.get(URL, {"shared_with_me": "true"}).json()["results"]] == [view.pk]
    assert own.pk != view.pk
    found = LeadFactory(owner=people["rep"], first_name="Ada")
    LeadFactory(owner=people["rep"], first_name="Bob")
    listed = client.get("/api/v1/leads/", {"view": view.pk}).json()
    assert [row["id"] for row in listed["results"]] == [found.pk]
    assert api(people["stranger"]).get("/api/v1/leads/", {"view": view.pk}).status_code == 400


def test_views_shared_with_everyone_stay_so(api, people, admin):
    view = SavedViewFactory(owner=people["owner"], is_shared=True)
    url = f"{URL}{view.pk}/"
    assert api(people["stranger"]).get(url).status_code == 200
    assert api(people["stranger"]).patch(url, {"name": "X"}).status_code == 403
    assert api(people["stranger"]).post(f"{url}shares/", {"team": "West"}).status_code == 403
    assert admin.patch(url, {"name": "Y", "is_shared": False}).status_code == 200
    assert admin.get(url).status_code == 404


@pytest.mark.parametrize("whom", ["owner", "viewer"])
def test_with_oneself_or_the_owner_is_refused(api, people, view, whom):
    answer = api(people["owner"]).post(f"{URL}{view.pk}/shares/", {"user": people[whom].pk})
    assert answer.status_code == {"owner": 400, "viewer": 201}[whom]


def test_shares_end_with_their_view(api, people, view):
    ShareFactory(record=view, user=people["rep"])
    kept = ShareFactory(record=LeadFactory(owner=people["owner"]), user=people["rep"])
    assert api(people["owner"]).delete(f"{URL}{view.pk}/").status_code == 204
    assert list(Share.objects.all()) == [kept]


def test_what_others_use_is_handed_over_with_its_owner(people, view):
    usage = sources["saved_view"]
    assert [usage.principal_of(row) for row in usage.rows()] == [None]
    ShareFactory(record=view, user=people["rep"])
    assert [usage.principal_of(row) for row in usage.rows()] == [people["owner"].pk]
