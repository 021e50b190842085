"""Users over HTTP: read by all, in detail by few, written by administrators."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.accounts import sessions
from core.accounts.api.serializers import UserSerializer
from core.accounts.models import Session, User
from core.accounts.origin import Origin
from core.accounts.tests.factories import TeamFactory
from core.changes.models import Change

pytestmark = pytest.mark.django_db
BRIEF = {"id", "username", "first_name", "last_name", "full_name", "team", "is_active"}
FULL = BRIEF | {
    "email", "role", "phone", "phone_region", "time_zone", "language", "is_superuser", "last_login",
    "date_joined",
}  # fmt: skip
GOOD = "tarnished-plural-octopus"
ADA = {
    "username": "ada",
    "email": "ada@crm.example",
    "first_name": "Ada",
    "last_name": "Byron",
    "password": GOOD,
}


def names(response):
    assert response.status_code == 200, response.content
    return [user["username"] for user in response.json()["results"]]


def errors(response, status=400):
    assert response.status_code == status, response.content
    return [(e["field"], e["code"]) for e in response.json()["errors"]]


def test_an_administrator_makes_a_user_who_can_sign_in(admin, admin_user, anonymous_client):
    team = TeamFactory(name="East")
    response = admin.post("/api/v1/users/", ADA | {"role": "manager", "team": team.pk})
    assert response.status_code == 201
    body = response.json()
    assert set(body) == FULL
    assert (body["role"], body["team"], body["full_name"]) == ("manager", team.pk, "Ada Byron")
    tokens = anonymous_client.post("/api/auth/login/", {"username": "ada", "password": GOOD})
    assert tokens.status_code == 200
    made = Change.objects.get(entity="user", object_id=body["id"])
    assert (made.kind, made.actor_id, made.source) == ("created", admin_user.pk, "api")


@pytest.fixture
def anonymous_client(api):
    return api()


def test_a_user_without_a_password_cannot_sign_in_until_one_is_set(admin, anonymous_client):
    body = {k: v for k, v in ADA.items() if k != "password"}
    made = admin.post("/api/v1/users/", body).json()
    assert made["role"] == "rep"
    login = {"username": "ada", "password": ""}
    assert anonymous_client.post("/api/auth/login/", login | {"password": "!"}).status_code == 401
    assert admin.patch(f"/api/v1/users/{made['id']}/", {"password": GOOD}).status_code == 200
    assert anonymous_client.post("/api/auth/login/", login | {"password": GOOD}).status_code == 200


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"username": ""}, "username", "blank"),
        ({"username": "a b"}, "username", "invalid"),
        ({"username": "a\x00b"}, "username", "null_characters_not_allowed"),
        ({"username": "x" * 151}, "username", "max_length"),
        ({"username": "TAKEN"}, "username", "unique"),
        ({"email": "TAKEN@crm.example"}, "email", "unique"),
        ({"email": "nowhere"}, "email", "invalid"),
        ({"password": "short"}, "password", "password_too_short"),
        ({"password": "q1w2e3r4t5y6"}, "password", "password_too_common"),
        ({"password": "ada@crm.example"}, "password", "password_too_similar"),
        ({"role": "root"}, "role", "invalid_choice"),
        ({"team": 10**20}, "team", "does_not_exist"),
        ({"team": True}, "team", "incorrect_type"),
        ({"team": "x"}, "team", "incorrect_type"),
        ({"time_zone": "Mars"}, "time_zone", "invalid"),
        ({"phone_region": "ZZ"}, "phone_region", "invalid"),
        ({"is_superuser": True}, "is_superuser", "read_only"),
        ({"is_staff": True}, "is_staff", "unknown_field"),
        ({"groups": [1]}, "groups", "unknown_field"),
        ({"user_permissions": [1]}, "user_permissions", "unknown_field"),
        ({"date_joined": "2001-01-01T00:00:00Z"}, "date_joined", "read_only"),
        ({"last_login": None}, "last_login", "read_only"),
        ({"id": 7}, "id", "read_only"),
    ],
)
def test_a_wrong_field_is_named_and_nobody_is_made(admin, make_user, change, field, code):
    make_user(username="taken")
    before = User.objects.count()
    response = admin.post("/api/v1/users/", ADA | change)
    assert (field, code) in errors(response)
    assert User.objects.count() == before


@pytest.mark.parametrize("role", ["manager", "rep", "viewer"])
def test_others_write_no_user(api, make_user, role):
    actor, target = make_user(role), make_user()
    client = api(actor)
    assert client.post("/api/v1/users/", ADA).status_code == 403
    for pk in (actor.pk, target.pk):
        assert client.patch(f"/api/v1/users/{pk}/", {"role": "admin"}).status_code == 403
        assert client.delete(f"/api/v1/users/{pk}/").status_code == 403
        assert client.post(f"/api/v1/users/{pk}/end_sessions/").status_code == 403
    assert not User.objects.filter(username="ada").exists()
    assert set(User.objects.filter(pk__in=(actor.pk, target.pk)).values_list("role", flat=True)) == {
        role,
        "rep",
    }


def test_colleagues_are_seen_briefly_and_oneself_in_full(api, rep, make_user):
    colleague = make_user("manager")
    client = api(rep)
    assert set(client.get(f"/api/v1/users/{colleague.pk}/").json()) == BRIEF
    assert set(client.get(f"/api/v1/users/{rep.pk}/").json()) == FULL
    listed = {user["id"]: set(user) for user in client.get("/api/v1/users/").json()["results"]}
    assert listed == {rep.pk: FULL, colleague.pk: BRIEF}


def test_a_manager_sees_the_details_of_their_own_people(api, make_user):
    east = TeamFactory(name="East")
    north_east = TeamFactory(name="North-east", parent=east)
    manager, below, elsewhere = make_user("manager", team=east), make_user(team=north_east), make_user()
    listed = {user["id"]: set(user) for user in api(manager).get("/api/v1/users/").json()["results"]}
    assert listed == {manager.pk: FULL, below.pk: FULL, elsewhere.pk: BRIEF}
    viewer = make_user("viewer", team=east)
    assert set(api(viewer).get(f"/api/v1/users/{below.pk}/").json()) == BRIEF


def test_what_one_may_not_see_one_may_not_filter_by(api, admin, rep, make_user):
    make_user("manager", username="boss")
    for query in ("role=manager", "email=boss@crm.example"):
        assert api(rep).get(f"/api/v1/users/?{query}").status_code == 403
        assert names(admin.get(f"/api/v1/users/?{query}")) == ["boss"]
    assert names(api(rep).get("/api/v1/users/?search=boss@crm")) == []


def test_lists_show_active_users_and_the_others_on_demand(admin, admin_user, make_user):
    make_user(username="gone", is_active=False)
    assert names(admin.get("/api/v1/users/")) == [admin_user.username]
    assert names(admin.get("/api/v1/users/?is_active=false")) == ["gone"]
    assert names(admin.get("/api/v1/users/?is_active=any")) == [admin_user.username, "gone"]


def test_users_are_searched_filtered_and_ordered(admin, admin_user, make_user):
    east = TeamFactory(name="East")
    make_user(username="ada", first_name="Ada", last_name="Byron", team=east)
    make_user(username="zoe", first_name="Zoe", last_name="Adams")
    assert names(admin.get("/api/v1/users/?search=ADA")) == ["ada", "zoe"]
    assert names(admin.get("/api/v1/users/?search=ada+byron")) == ["ada"]
    assert names(admin.get(f"/api/v1/users/?team={east.pk}")) == ["ada"]
    assert names(admin.get("/api/v1/users/?ordering=-username")) == ["zoe", admin_user.username, "ada"]
    assert names(admin.get("/api/v1/users?username=zoe")) == ["zoe"]
    for query in ("ordering=password", "is_active=maybe", "team=x", "password=x", "groups=1", "search=%00"):
        assert admin.get(f"/api/v1/users/?{query}").status_code == 400, query


def test_a_list_costs_the_same_queries_whatever_its_length(api, make_user):
    east = TeamFactory(name="East")
    manager = make_user("manager", team=east)

    def count():
        client = api(User.objects.get(pk=manager.pk))
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/api/v1/users/").status_code == 200
        return len(queries)

    few = count()
    for _ in range(20):
        make_user(team=east)
    assert count() == few == 3  # the users; the manager's teams and their members


def test_an_administrator_changes_role_and_team_and_both_are_kept_in_the_history(admin, admin_user, rep):
    team = TeamFactory(name="East")
    response = admin.patch(f"/api/v1/users/{rep.pk}/", {"role": "manager", "team": team.pk})
    assert response.status_code == 200
    change = Change.objects.get(entity="user", object_id=rep.pk, kind="updated")
    assert change.changes == {"role": ["rep", "manager"], "team_id": [None, team.pk]}
    assert (change.actor_id, change.source) == (admin_user.pk, "api")


def test_a_password_set_by_an_administrator_ends_the_users_sessions_and_shows_nowhere(admin, rep):
    session = sessions.begin(rep, Origin("127.0.0.1", "")).session
    response = admin.patch(f"/api/v1/users/{rep.pk}/", {"password": GOOD})
    assert "password" not in response.json()
    session.refresh_from_db()
    assert session.ended_because == "password_changed"
    rep.refresh_from_db()
    assert rep.check_password(GOOD)
    assert "password" not in str(list(Change.objects.values_list("changes", flat=True)))


def test_a_delete_deactivates_and_ends_all_sessions(admin, rep):
    session = sessions.begin(rep, Origin("127.0.0.1", "")).session
    assert admin.delete(f"/api/v1/users/{rep.pk}/").status_code == 204
    rep.refresh_from_db()
    session.refresh_from_db()
    assert (rep.is_active, session.ended_because) == (False, "deactivated")
    assert admin.patch(f"/api/v1/users/{rep.pk}/", {"is_active": True}).status_code == 200


def test_an_administrator_signs_a_user_out_everywhere(admin, rep):
    for _ in range(2):
        sessions.begin(rep, Origin("127.0.0.1", ""))
    assert admin.post(f"/api/v1/users/{rep.pk}/end-sessions").json() == {"ended": 2}
    assert set(Session.objects.values_list("ended_because", flat=True)) == {"by_administrator"}


@pytest.mark.parametrize(
    ("body", "field"),
    [({"role": "rep"}, "role"), ({"is_active": False}, "is_active"), ({"role": "viewer"}, "role")],
)
def test_the_last_administrator_stays_one(admin, admin_user, make_user, body, field):
    make_user("admin", is_active=False)
    path = f"/api/v1/users/{admin_user.pk}/"
    assert errors(admin.patch(path, body)) == [(field, "last_administrator")]
    assert admin.delete(path).status_code == 409
    admin_user.refresh_from_db()
    assert (admin_user.role, admin_user.is_active) == ("admin", True)
    make_user("admin")
    assert admin.patch(path, body).status_code == 200


def test_a_superuser_is_changed_by_superusers_only(admin, api):
    root = User.objects.create_superuser("root", "root@crm.example", GOOD)
    assert admin.get(f"/api/v1/users/{root.pk}/").json()["role"] == "admin"
    for body in ({"password": "another-good-one-9"}, {"is_active": False}, {"first_name": "x"}):
        assert admin.patch(f"/api/v1/users/{root.pk}/", body).status_code == 403
    assert admin.delete(f"/api/v1/users/{root.pk}/").status_code == 403
    assert admin.post(f"/api/v1/users/{root.pk}/end_sessions/").status_code == 403
    assert errors(api(root).patch(f"/api/v1/users/{root.pk}/", {"role": "rep"})) == [("role", "superuser")]
    root.refresh_from_db()
    assert root.check_password(GOOD)


def test_an_id_that_is_none_is_not_found(admin):
    for pk in ("0", "999999999", "9" * 20, "x", "1.5", "-1"):
        assert admin.get(f"/api/v1/users/{pk}/").status_code == 404, pk


def test_a_name_given_twice_at_once_is_a_conflict_and_not_an_error(admin, make_user, monkeypatch):
    """The validator looked before the other committed; the constraint has the last word."""
    make_user(username="ada")
    monkeypatch.setattr(UserSerializer, "run_validation", lambda self, data: data | {"username": "ADA"})
    monkeypatch.setattr("rest_framework.validators.UniqueValidator.__call__", lambda *a: None)
    assert admin.post("/api/v1/users/", ADA | {"email": "b@crm.example"}).status_code == 409
