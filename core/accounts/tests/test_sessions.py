"""Signing in, staying so, signing out; what ends a session and when that is felt."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.auth.hashers import MD5PasswordHasher
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.accounts.models import Session, User
from core.accounts.tests.conftest import PASSWORD
from core.tasks import forget_sessions

pytestmark = pytest.mark.django_db
NEW = "tarnished-plural-octopus"


def test_a_sign_in_gives_tokens_and_says_who_one_is(anonymous, rep):
    response = anonymous.post("/api/auth/login/", {"username": rep.username, "password": PASSWORD})
    assert response.status_code == 200
    body = response.json()
    assert set(body) == {
        "access", "refresh", "token_type", "expires_in", "refresh_expires_at", "session", "user",
    }  # fmt: skip
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 600)
    assert body["user"]["username"] == rep.username
    assert body["user"]["role"] == "rep"
    assert response["Cache-Control"] == "no-store"
    rep.refresh_from_db()
    assert rep.last_login is not None


def test_the_name_is_taken_in_any_case_and_paths_without_their_slash(anonymous, make_user):
    make_user(username="Ada")
    response = anonymous.post("/api/auth/login", {"username": "aDA", "password": PASSWORD})
    assert response.status_code == 200


def test_unknown_wrong_and_deactivated_are_answered_alike(anonymous, make_user):
    make_user(username="known")
    make_user(username="gone", is_active=False)
    answers = set()
    for name, password in (("known", "wrong"), ("nobody", PASSWORD), ("gone", PASSWORD)):
        response = anonymous.post("/api/auth/login/", {"username": name, "password": password})
        body = response.json()
        answers.add((response.status_code, body["type"], body["detail"], response["WWW-Authenticate"]))
    assert answers == {
        (
            401,
            "/problems/no-such-sign-in",
            "No active user has this name and password.",
            'Bearer realm="api"',
        )
    }
    assert Session.objects.count() == 0


def test_an_unknown_name_costs_a_password_hash_too(anonymous, make_user, monkeypatch):
    """The time would tell which accounts exist: with argon2 a hash is nearly all of it."""
    hashed = []
    encode = MD5PasswordHasher.encode

    def counted(self, password, salt):
        hashed.append(password)
        return encode(self, password, salt)

    make_user(username="known")
    monkeypatch.setattr(MD5PasswordHasher, "encode", counted)
    counts = []
    for name in ("known", "nobody"):
        hashed.clear()
        anonymous.post("/api/auth/login/", {"username": name, "password": "a wrong password"})
        counts.append(hashed.count("a wrong password"))
    assert counts == [1, 1]


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "username", "required"),
        ({"username": "a"}, "password", "required"),
        ({"username": "a\x00", "password": "b"}, "username", "null_characters_not_allowed"),
        ({"username": ["a"], "password": "b"}, "username", "invalid"),
        ({"username": "a", "password": "b", "role": "admin"}, "role", "unknown_field"),
    ],
)
def test_a_malformed_sign_in_names_the_field(anonymous, body, field, code):
    response = anonymous.post("/api/auth/login/", body)
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert (field, code) in [(e["field"], e["code"]) for e in response.json()["errors"]]


def test_a_session_remembers_where_it_came_from(anonymous, rep):
    anonymous.post(
        "/api/auth/login/",
        {"username": rep.username, "password": PASSWORD},
        REMOTE_ADDR="203.0.113.7",
        HTTP_USER_AGENT="curl/8",
    )
    session = Session.objects.get()
    assert (session.user, session.ip, session.user_agent) == (rep, "203.0.113.7", "curl/8")


def test_a_refresh_token_works_once(anonymous, rep, log_in):
    first = log_in(rep)
    second = anonymous.post("/api/auth/refresh/", {"refresh": first["refresh"]}).json()
    assert second["refresh"] != first["refresh"]
    assert second["session"] == first["session"]
    assert Session.objects.get().generation == 2


def test_a_refresh_token_that_comes_back_ends_its_whole_family(anonymous, rep, log_in, bearing, caplog):
    first = log_in(rep)
    other = log_in(rep)
    second = anonymous.post("/api/auth/refresh/", {"refresh": first["refresh"]}).json()
    assert anonymous.post("/api/auth/refresh/", {"refresh": first["refresh"]}).status_code == 401
    assert anonymous.post("/api/auth/refresh/", {"refresh": second["refresh"]}).status_code == 401
    assert bearing(second["access"]).get("/api/auth/me/").status_code == 401
    assert Session.objects.get(pk=first["session"]).ended_because == "refresh_reused"
    assert "was used twice" in caplog.text
    # Another sign-in of the same user is another family.
    assert bearing(other["access"]).get("/api/auth/me/").status_code == 200


def test_a_log_out_is_felt_by_the_next_request(anonymous, rep, log_in, bearing):
    tokens = log_in(rep)
    client = bearing(tokens["access"])
    assert client.post("/api/auth/logout/", {"refresh": tokens["refresh"]}).status_code == 204
    response = client.get("/api/auth/me/")
    assert (response.status_code, response.json()["type"]) == (401, "/problems/session-ended")
    assert anonymous.post("/api/auth/refresh/", {"refresh": tokens["refresh"]}).status_code == 401
    assert Session.objects.get().ended_because == "logged_out"


def test_a_log_out_needs_one_valid_token_of_either_kind(anonymous, rep, log_in, bearing):
    tokens = log_in(rep)
    assert anonymous.post("/api/auth/logout/").status_code == 401
    assert anonymous.post("/api/auth/logout/", {"refresh": tokens["access"]}).status_code == 401
    assert Session.objects.live().count() == 1
    assert bearing("x.y.z").post("/api/auth/logout/", {"refresh": tokens["refresh"]}).status_code == 204
    assert Session.objects.live().count() == 0


def test_a_new_password_ends_all_other_sessions_at_once(rep, log_in, bearing):
    mine, other = log_in(rep), log_in(rep)
    client = bearing(mine["access"])
    response = client.post("/api/auth/password/", {"current_password": PASSWORD, "new_password": NEW})
    assert response.status_code == 204
    assert client.get("/api/auth/me/").status_code == 200
    assert bearing(other["access"]).get("/api/auth/me/").status_code == 401
    assert Session.objects.get(pk=other["session"]).ended_because == "password_changed"
    assert log_in(rep, NEW)["access"]


def test_a_password_set_in_a_shell_ends_every_session(rep, log_in, bearing):
    tokens = log_in(rep)
    user = User.objects.get(pk=rep.pk)
    user.set_password(NEW)
    user.save()
    assert bearing(tokens["access"]).get("/api/auth/me/").status_code == 401


def test_a_hash_made_stronger_at_sign_in_ends_no_session(rep, log_in, bearing, settings):
    tokens = log_in(rep)
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        *settings.PASSWORD_HASHERS,
    ]
    log_in(rep)
    rep.refresh_from_db()
    assert rep.password.startswith("pbkdf2_sha256$")
    assert bearing(tokens["access"]).get("/api/auth/me/").status_code == 200


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"current_password": "wrong", "new_password": NEW}, "current_password", "incorrect"),
        ({"current_password": PASSWORD, "new_password": "short"}, "new_password", "password_too_short"),
        (
            {"current_password": PASSWORD, "new_password": "q1w2e3r4t5y6"},
            "new_password",
            "password_too_common",
        ),
        (
            {"current_password": PASSWORD, "new_password": "rep-person-rep"},
            "new_password",
            "password_too_similar",
        ),
        ({"current_password": PASSWORD}, "new_password", "required"),
    ],
)
def test_a_password_that_will_not_do_is_refused_by_field(make_user, log_in, bearing, body, field, code):
    user = make_user(username="rep-person-rep")
    response = bearing(log_in(user)["access"]).post("/api/auth/password/", body)
    assert response.status_code == 400
    assert (field, code) in [(e["field"], e["code"]) for e in response.json()["errors"]]
    assert log_in(user)


def test_deactivation_is_felt_by_the_next_request_whichever_way_it_came(anonymous, rep, log_in, bearing):
    tokens = log_in(rep)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE core_user SET is_active = false WHERE id = %s", [rep.pk])
    assert bearing(tokens["access"]).get("/api/auth/me/").status_code == 401
    assert anonymous.post("/api/auth/refresh/", {"refresh": tokens["refresh"]}).status_code == 401
    assert Session.objects.get().ended_because == "deactivated"
    # Coming back is a new sign-in, not the old tokens.
    User.objects.filter(pk=rep.pk).update(is_active=True)
    assert bearing(tokens["access"]).get("/api/auth/me/").status_code == 401


def test_another_role_is_felt_by_the_next_request(make_user, log_in, bearing):
    make_user("admin")
    second = make_user("admin")
    client = bearing(log_in(second)["access"])
    assert client.get("/api/v1/users/?role=rep").status_code == 200
    User.objects.filter(pk=second.pk).update(role="rep")
    assert client.get("/api/v1/users/?role=rep").status_code == 403
    assert client.get("/api/auth/me/").json()["role"] == "rep"


def test_a_session_and_its_user_are_read_in_one_query(rep, log_in, bearing):
    client = bearing(log_in(rep)["access"])
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert client.get("/api/auth/me/").status_code == 200
    assert len(queries) == 1


def test_one_lists_and_ends_ones_own_sessions(rep, make_user, log_in, bearing):
    mine, other, strangers = log_in(rep), log_in(rep), log_in(make_user())
    client = bearing(mine["access"])
    body = client.get("/api/auth/sessions/").json()
    assert body["count"] == 2
    assert {(s["id"], s["current"]) for s in body["results"]} == {
        (mine["session"], True),
        (other["session"], False),
    }
    assert set(body["results"][0]) == {
        "id", "kind", "created_at", "last_used_at", "expires_at", "ip", "user_agent", "current",
    }  # fmt: skip
    assert client.delete(f"/api/auth/sessions/{strangers['session']}/").status_code == 404
    assert client.delete(f"/api/auth/sessions/{other['session']}/").status_code == 204
    assert client.delete(f"/api/auth/sessions/{other['session']}/").status_code == 404
    assert bearing(other["access"]).get("/api/auth/me/").status_code == 401
    assert bearing(strangers["access"]).get("/api/auth/me/").status_code == 200


def test_one_ends_all_other_sessions_at_once(rep, log_in, bearing):
    mine, second, third = log_in(rep), log_in(rep), log_in(rep)
    client = bearing(mine["access"])
    assert client.delete("/api/auth/sessions/").json() == {"ended": 2}
    assert client.get("/api/auth/me/").status_code == 200
    for tokens in (second, third):
        assert bearing(tokens["access"]).get("/api/auth/me/").status_code == 401


def test_a_session_ends_unused_and_at_last_in_any_case(anonymous, rep, log_in, settings):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    settings.JWT_REFRESH_LIFETIME, settings.JWT_SESSION_LIFETIME = timedelta(days=2), timedelta(days=3)
    with time_machine.travel(start, tick=False) as clock:
        tokens = log_in(rep)
        assert tokens["refresh_expires_at"] == "2026-01-03T00:00:00Z"
        clock.move_to(start + timedelta(days=1.5))
        tokens = anonymous.post("/api/auth/refresh/", {"refresh": tokens["refresh"]}).json()
        assert tokens["refresh_expires_at"] == "2026-01-04T00:00:00Z"
        clock.move_to(start + timedelta(days=3))
        assert anonymous.post("/api/auth/refresh/", {"refresh": tokens["refresh"]}).status_code == 401


def test_me_is_changed_in_what_is_ones_own_only(rep, log_in, bearing):
    client = bearing(log_in(rep)["access"])
    for field, value in (
        ("role", "admin"),
        ("is_superuser", True),
        ("username", "x"),
        ("email", "a@b.example"),
        ("team", 1),
    ):
        before = getattr(rep, field)
        response = client.patch("/api/auth/me/", {field: value, "first_name": "Eve"})
        assert (response.status_code, response.json()["first_name"]) == (200, "Eve")
        rep.refresh_from_db()
        assert getattr(rep, field) == before
    assert client.patch("/api/auth/me/", {"is_staff": True}).json()["errors"][0]["code"] == "unknown_field"
    assert client.patch("/api/auth/me/", {"time_zone": "Mars/Base"}).status_code == 400
    body = client.patch("/api/auth/me/", {"first_name": "Ada", "time_zone": "Europe/Berlin"}).json()
    assert (body["first_name"], body["time_zone"], body["role"]) == ("Ada", "Europe/Berlin", "rep")
    rep.refresh_from_db()
    assert (rep.first_name, rep.role, rep.is_staff, rep.is_superuser) == ("Ada", "rep", False, False)


def test_sessions_that_ran_out_long_ago_are_forgotten(rep, log_in, settings):
    kept, old = log_in(rep)["session"], log_in(rep)["session"]
    past = datetime.now(UTC) - settings.JWT_SESSION_LIFETIME - timedelta(days=1)
    Session.objects.filter(pk=old).update(expires_at=past)
    assert forget_sessions() == 1
    assert list(Session.objects.values_list("pk", flat=True)) == [kept]


def test_a_cookie_of_the_admin_site_signs_nobody_in_to_the_api(client, make_user):
    client.force_login(make_user("admin"))
    assert client.get("/api/v1/users/").status_code == 401
    assert client.post("/api/v1/teams/", {"name": "x"}, content_type="application/json").status_code == 401


# -- by e-mail address --------------------------------------------------------------------------


def sign_in(client, name, password=PASSWORD):
    return client.post("/api/auth/login/", {"username": name, "password": password})


def test_an_e_mail_address_signs_in_as_well_whatever_its_case(anonymous, rep):
    assert sign_in(anonymous, rep.email.upper()).json()["user"]["id"] == rep.pk
    assert sign_in(anonymous, rep.email, "wrong").status_code == 401
    assert sign_in(anonymous, "nobody@crm.example").status_code == 401


def test_a_user_name_that_is_anothers_address_is_the_user_name(anonymous, make_user):
    named = make_user(username="bob@crm.example")
    User.objects.filter(pk=named.pk).update(email="")
    other = make_user()
    User.objects.filter(pk=other.pk).update(email="bob@crm.example")
    assert sign_in(anonymous, "bob@crm.example").json()["user"]["id"] == named.pk


def test_no_address_is_nobodys(anonymous, make_user):
    User.objects.filter(pk=make_user().pk).update(email="")
    assert sign_in(anonymous, "@").status_code == 401


def test_guesses_by_name_and_by_address_count_against_one_account(anonymous, rep):
    statuses = [sign_in(anonymous, name, "wrong").status_code for name in [rep.username, rep.email] * 3]
    assert statuses == [401] * 5 + [429]
