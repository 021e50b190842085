"""API keys: shown once, scoped, revocable, bound to a user."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.access.scopes import scope_allows
from core.accounts import keys
from core.accounts.models import ApiKey, Team, User
from core.api.models import IdempotencyKey
from core.changes.models import Change

pytestmark = pytest.mark.django_db


@pytest.fixture
def make_key(bearing):
    """make_key(user, *scopes) → a client that sends a new key of the user."""

    def make(user, *scopes, **fields):
        _, text = keys.make(user, "test", list(scopes), **fields)
        return bearing(text)

    return make


def test_a_key_is_made_and_shown_this_once(rep, log_in, bearing):
    client = bearing(log_in(rep)["access"])
    response = client.post("/api/auth/api-keys/", {"name": "Sync", "scopes": ["leads:read", "write"]})
    assert response.status_code == 201
    made = response.json()
    assert made["key"].startswith(f"crm_{made['prefix']}_")
    assert bearing(made["key"]).get("/api/auth/me/").json()["username"] == rep.username
    listed = client.get("/api/auth/api_keys").json()
    assert listed["count"] == 1
    assert "key" not in listed["results"][0]
    assert listed["results"][0]["scopes"] == ["leads:read", "write"]


def test_no_table_holds_the_key(rep, log_in, bearing):
    client = bearing(log_in(rep)["access"])
    client.credentials(
        HTTP_AUTHORIZATION=client._credentials["HTTP_AUTHORIZATION"], HTTP_IDEMPOTENCY_KEY="once"
    )
    text = client.post("/api/auth/api-keys/", {"name": "Sync", "scopes": ["read"]}).json()["key"]
    secret = text.rpartition("_")[2]
    kept = [*ApiKey.objects.values_list("digest", "prefix", "name"), *Change.objects.values_list("changes")]
    assert secret not in str(kept)
    assert IdempotencyKey.objects.count() == 0


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"name": "x"}, "scopes", "required"),
        ({"name": "x", "scopes": []}, "scopes", "min_length"),
        ({"name": "x", "scopes": ["everything"]}, "scopes.0", "invalid"),
        ({"name": "x", "scopes": ["nothings:read"]}, "scopes.0", "invalid"),
        ({"name": "x", "scopes": ["leads:delete"]}, "scopes.0", "invalid"),
        ({"name": "x", "scopes": "read"}, "scopes", "not_a_list"),
        ({"name": "", "scopes": ["read"]}, "name", "blank"),
        ({"name": "x", "scopes": ["read"], "expires_at": "2001-01-01T00:00:00Z"}, "expires_at", "invalid"),
        ({"name": "x", "scopes": ["read"], "user": 1}, "user", "unknown_field"),
        ({"name": "x", "scopes": ["read"], "digest": "0"}, "digest", "unknown_field"),
        ({"name": "x", "scopes": ["read"], "prefix": "0"}, "prefix", "read_only"),
    ],
)
def test_a_wrong_key_request_names_the_field(rep, log_in, bearing, body, field, code):
    response = bearing(log_in(rep)["access"]).post("/api/auth/api-keys/", body)
    assert response.status_code == 400
    assert [(e["field"], e["code"]) for e in response.json()["errors"]] == [(field, code)]
    assert ApiKey.objects.count() == 0


def test_a_revoked_key_is_refused_from_the_next_request_on(rep, log_in, bearing, make_key):
    client = make_key(rep, "read")
    assert client.get("/api/v1/leads/").status_code == 200
    owner = bearing(log_in(rep)["access"])
    assert owner.delete(f"/api/auth/api-keys/{ApiKey.objects.get().pk}/").status_code == 204
    response = client.get("/api/v1/leads/")
    assert (response.status_code, response.json()["type"]) == (401, "/problems/api-key-not-valid")
    revoked = Change.objects.get(entity="api_key", kind="updated")
    assert (revoked.actor_id, revoked.source, list(revoked.changes)) == (rep.pk, "api", ["revoked_at"])


def test_the_key_of_another_is_not_found(rep, make_user, log_in, bearing):
    key, _ = keys.make(make_user(), "theirs", ["read"])
    assert bearing(log_in(rep)["access"]).delete(f"/api/auth/api-keys/{key.pk}/").status_code == 404
    assert ApiKey.objects.get().revoked_at is None


def test_a_key_runs_out(rep, make_key):
    client = make_key(rep, "read", expires_at=datetime.now(UTC) + timedelta(hours=1))
    assert client.get("/api/auth/me/").status_code == 200
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=2)):
        assert client.get("/api/auth/me/").status_code == 401


def test_a_key_rests_while_its_user_is_deactivated_and_has_the_users_present_role(make_user, make_key):
    user = make_user("admin")
    client = make_key(user, "read")
    assert client.get("/api/v1/users/?role=rep").status_code == 200
    User.objects.filter(pk=user.pk).update(role="rep")
    assert client.get("/api/v1/users/?role=rep").status_code == 403
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert client.get("/api/v1/leads/").status_code == 401


@pytest.mark.parametrize(
    "text",
    ["crm_", "crm_x", "crm_000000000000_" + "a" * 43, "crm_zz0000000000_" + "a" * 43, "crm_" + "a" * 9999],
)
def test_what_is_no_key_is_refused(bearing, text):
    assert bearing(text).get("/api/auth/me/").status_code == 401


def test_a_key_with_another_secret_is_refused(rep, bearing):
    _, text = keys.make(rep, "x", ["read"])
    other = text[:-1] + ("A" if text[-1] != "A" else "B")
    assert bearing(other).get("/api/auth/me/").status_code == 401


@pytest.mark.parametrize(
    ("held", "resource", "reads", "writes"),
    [
        (["read"], "leads", True, False),
        (["write"], "leads", True, True),
        (["leads:read"], "leads", True, False),
        (["leads:read"], "tasks", False, False),
        (["leads:write"], "leads", True, True),
        (["leads:write"], "tasks", False, False),
        (["write"], "users", True, False),
        (["write"], "teams", True, False),
        (["users:write"], "users", True, True),
        (["read", "write"], "privacy", False, False),
        (["privacy:read"], "privacy", True, False),
        (["privacy:write"], "privacy", True, True),
        ([], "leads", False, False),
    ],
)
def test_scopes_cover_what_they_name(held, resource, reads, writes):
    assert scope_allows(held, resource, writing=False) is reads
    assert scope_allows(held, resource, writing=True) is writes


def test_scopes_bind_at_every_door(admin_user, make_key):
    client = make_key(admin_user, "leads:read", "tasks:write")
    assert client.get("/api/v1/leads/").status_code == 200
    assert client.get("/api/v1/leads/statistics").status_code == 200
    refused = client.post("/api/v1/leads/", {"last_name": "Doe"})
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/scope-missing")
    assert client.post("/api/v1/leads/bulk-update/", {"ids": [1], "action": "delete"}).status_code == 403
    assert client.get("/api/v1/contacts/").status_code == 403
    assert client.get("/api/v1/users/").status_code == 403
    assert client.post("/api/v1/tasks/", {"title": "Call"}).status_code == 201


def test_a_writing_key_makes_no_administrators_unless_it_names_users(admin_user, make_key):
    body = {"username": "eve", "email": "eve@crm.example", "role": "admin"}
    assert make_key(admin_user, "write").post("/api/v1/users/", body).status_code == 403
    assert make_key(admin_user, "write").post("/api/v1/teams/", {"name": "x"}).status_code == 403
    assert not User.objects.filter(username="eve").exists()
    assert not Team.objects.exists()
    assert make_key(admin_user, "users:write").post("/api/v1/users/", body).status_code == 201


def test_a_key_manages_no_passwords_sessions_or_keys(rep, make_key, log_in):
    client = make_key(rep, "read", "write")
    session = log_in(rep)["session"]
    for method, path, body in (
        ("get", "sessions/", None),
        ("delete", "sessions/", None),
        ("delete", f"sessions/{session}/", None),
        ("get", "api-keys/", None),
        ("post", "api-keys/", {"name": "more", "scopes": ["write"]}),
        ("delete", f"api-keys/{ApiKey.objects.get().pk}/", None),
        ("post", "password/", {"current_password": "a", "new_password": "b"}),
        ("patch", "me/", {"first_name": "Eve"}),
    ):
        response = getattr(client, method)(f"/api/auth/{path}", body)
        assert response.status_code == 403, path
    assert ApiKey.objects.filter(revoked_at=None).count() == 1
    assert rep.sessions.live().count() == 1


def test_a_use_costs_one_query_and_is_noted_now_and_then(rep, make_key):
    client = make_key(rep, "read")
    client.get("/api/auth/me/")
    noted = ApiKey.objects.get().last_used_at
    assert noted is not None
    with CaptureQueriesContext(connection) as queries:
        client.get("/api/auth/me/")
    assert len(queries) == 1
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=11)):
        client.get("/api/auth/me/")
    assert ApiKey.objects.get().last_used_at > noted


def test_a_user_has_so_many_keys_at_most(rep, log_in, bearing, monkeypatch):
    monkeypatch.setattr(keys, "MAX_PER_USER", 1)
    client = bearing(log_in(rep)["access"])
    body = {"name": "x", "scopes": ["read"]}
    assert client.post("/api/auth/api-keys/", body).status_code == 201
    response = client.post("/api/auth/api-keys/", body)
    assert (response.status_code, response.json()["type"]) == (409, "/problems/too-many")
