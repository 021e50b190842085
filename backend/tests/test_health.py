import pytest
from django.db import connection

from backend.development.embedded.ports import any_free
from core.changes.dispatch import dispatch

HEALTHY = {
    "status": "ok",
    "checks": {"database": "ok", "migrations": "ok", "broker": "ok", "automation": "ok"},
}


@pytest.fixture
def fresh(db):
    """Nothing waits: what the migrations wrote, some time ago, has been fed to the consumers."""
    dispatch()


@pytest.fixture
def lost_database(db):
    """The same settings with a port where nobody listens: refused, as by a database that is down."""
    port = connection.settings_dict["PORT"]
    connection.close()
    connection.connection = None
    connection.settings_dict["PORT"] = str(any_free())
    yield
    connection.connection = None
    connection.settings_dict["PORT"] = port


@pytest.mark.django_db
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_whole_server_says_so_part_by_part(client, fresh, slash):
    assert client.get(f"/livez{slash}").json() == {"status": "ok"}
    assert client.get(f"/readyz{slash}").json()["status"] == "ok"
    response = client.get(f"/healthz{slash}")
    assert (response.status_code, response.json()) == (200, HEALTHY)
    assert "no-store" in response["Cache-Control"]


@pytest.mark.django_db
def test_without_valkey_requests_are_still_served(client, fresh, settings):
    settings.REDIS_URL = f"redis://127.0.0.1:{any_free()}/0"
    response = client.get("/healthz")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["checks"] == HEALTHY["checks"] | {"broker": "down"}
    assert client.get("/readyz").status_code == 200


@pytest.mark.django_db
def test_a_database_behind_the_code_is_not_ready(client, fresh):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'core'")
    response = client.get("/healthz")
    assert (response.status_code, response.json()["status"]) == (503, "unavailable")
    assert response.json()["checks"] == HEALTHY["checks"] | {"migrations": "pending"}


@pytest.mark.django_db(transaction=True)
def test_without_a_database_the_process_lives_and_is_not_ready(client, lost_database):
    assert client.get("/livez").status_code == 200
    response = client.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (503, "unavailable")
    checks = client.get("/healthz").json()["checks"]
    assert checks == {"database": "down", "migrations": "down", "broker": "ok", "automation": "down"}


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
def test_health_is_only_read(client, path):
    assert client.post(path).status_code == 405


def test_a_balancer_asks_by_address_and_over_http_where_others_are_sent_to_https(client, settings):
    settings.SECURE_SSL_REDIRECT = True
    assert client.get("/livez", headers={"Host": "10.0.0.7:8000"}).status_code == 200
    assert client.get("/api/docs/", headers={"Host": "10.0.0.7:8000"}).status_code == 400
    response = client.get("/api/docs/")
    assert (response.status_code, response["Location"]) == (301, "https://testserver/api/docs/")
