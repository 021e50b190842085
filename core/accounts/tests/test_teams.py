"""Teams over HTTP: a tree that everyone reads and administrators write."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.accounts.models import Team
from core.accounts.tests.factories import TeamFactory
from core.changes.models import Change

pytestmark = pytest.mark.django_db


@pytest.fixture
def tree():
    """East ← North-east ← Harbour."""
    east = TeamFactory(name="East")
    north_east = TeamFactory(name="North-east", parent=east)
    return east, north_east, TeamFactory(name="Harbour", parent=north_east)


def errors(response):
    assert response.status_code == 400, response.content
    return [(e["field"], e["code"]) for e in response.json()["errors"]]


def test_an_administrator_makes_a_team_below_another(admin, admin_user, tree):
    response = admin.post("/api/v1/teams/", {"name": "Docks", "parent": tree[0].pk})
    assert response.status_code == 201
    body = response.json()
    assert (body["name"], body["parent"], body["members"]) == ("Docks", tree[0].pk, 0)
    change = Change.objects.get(entity="team", object_id=body["id"])
    assert (change.kind, change.actor_id) == ("created", admin_user.pk)


@pytest.mark.parametrize("role", ["manager", "rep", "viewer"])
def test_everyone_reads_and_only_administrators_write(api, make_user, tree, role):
    client, east = api(make_user(role)), tree[0]
    assert client.get("/api/v1/teams/").json()["count"] == 3
    assert client.get(f"/api/v1/teams/{east.pk}").json()["name"] == "East"
    assert client.post("/api/v1/teams/", {"name": "x"}).status_code == 403
    assert client.patch(f"/api/v1/teams/{east.pk}/", {"name": "x"}).status_code == 403
    assert client.delete(f"/api/v1/teams/{tree[2].pk}/").status_code == 403
    assert sorted(Team.objects.values_list("name", flat=True)) == ["East", "Harbour", "North-east"]


@pytest.mark.parametrize("below", [0, 1, 2])
def test_a_team_is_not_put_below_itself(admin, tree, below):
    response = admin.patch(f"/api/v1/teams/{tree[0].pk}/", {"parent": tree[below].pk})
    assert errors(response) == [("parent", "cycle")]
    tree[0].refresh_from_db()
    assert tree[0].parent is None


def test_a_team_moves_elsewhere_in_the_tree(admin, tree):
    east, _, harbour = tree
    response = admin.patch(f"/api/v1/teams/{harbour.pk}/", {"parent": east.pk})
    assert response.json()["parent"] == east.pk
    assert admin.patch(f"/api/v1/teams/{harbour.pk}/", {"parent": None}).json()["parent"] is None


def test_names_are_unique_in_any_case(admin, tree):
    assert admin.post("/api/v1/teams/", {"name": "EAST"}).status_code == 409


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "name", "required"),
        ({"name": ""}, "name", "blank"),
        ({"name": "x\x00"}, "name", "null_characters_not_allowed"),
        ({"name": "x" * 121}, "name", "max_length"),
        ({"name": "x", "parent": 10**20}, "parent", "does_not_exist"),
        ({"name": "x", "members": 3}, "members", "read_only"),
        ({"name": "x", "boss": 3}, "boss", "unknown_field"),
    ],
)
def test_a_wrong_field_is_named(admin, body, field, code):
    assert errors(admin.post("/api/v1/teams/", body)) == [(field, code)]
    assert not Team.objects.exists()


def test_a_team_with_teams_or_members_is_not_deleted(admin, make_user, tree):
    east, _, harbour = tree
    member = make_user(team=harbour)
    assert admin.delete(f"/api/v1/teams/{east.pk}/").json()["type"] == "/problems/protected"
    response = admin.delete(f"/api/v1/teams/{harbour.pk}/")
    assert (response.status_code, response.json()["detail"]) == (409, "Move the members of the team first.")
    admin.patch(f"/api/v1/users/{member.pk}/", {"team": None})
    assert admin.delete(f"/api/v1/teams/{harbour.pk}/").status_code == 204


def test_members_are_counted_in_the_lists_one_query(admin, make_user, tree):
    make_user(team=tree[0])
    make_user(team=tree[0], is_active=False)
    with CaptureQueriesContext(connection) as queries:
        rows = admin.get("/api/v1/teams/").json()["results"]
    assert [(t["name"], t["members"]) for t in rows] == [("East", 1), ("Harbour", 0), ("North-east", 0)]
    assert len(queries) == 1
    assert admin.get(f"/api/v1/teams/?parent={tree[0].pk}").json()["count"] == 1
