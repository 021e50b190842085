import re

import pytest
from django.test import Client

ORIGIN = "https://app.example.com"


@pytest.mark.django_db
def test_an_answer_of_the_api_may_neither_load_nor_run_nor_be_framed(client):
    headers = client.get("/api/v1/leads/").headers
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Permissions-Policy"] == "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
    assert "Server" not in headers


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/admin/login/", "/api/docs/", "/api/redoc/"])
def test_a_page_lives_on_what_this_server_sends(client, path):
    response = client.get(path)
    assert response.status_code == 200
    policy = dict(part.split(" ", 1) for part in response["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert not any("http" in sources for sources in policy.values())
    assert b"https://fonts" not in response.content


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/docs/", "/api/redoc/", "/password/", "/push/"])
def test_a_page_of_ours_runs_and_styles_what_carries_its_nonce_alone(client, path):
    response = client.get(path)
    policy = dict(part.split(" ", 1) for part in response["Content-Security-Policy"].split("; "))
    [nonce] = set(re.findall(r'nonce="([^"]+)"', response.content.decode()))
    assert policy["script-src"] == policy["style-src"] == f"'self' 'nonce-{nonce}'"
    assert "unsafe" not in response["Content-Security-Policy"]
    again = client.get(path)["Content-Security-Policy"]
    assert again.count("'nonce-") == 2
    assert nonce not in again


@pytest.mark.django_db
def test_the_admin_site_alone_may_evaluate(client, admin_user):
    assert (
        "script-src 'self' 'unsafe-inline' 'unsafe-eval';"
        in client.get("/admin/login/")["Content-Security-Policy"]
    )
    client.force_login(admin_user)
    browsed = client.get("/api/v1/leads/", headers={"Accept": "text/html"})
    assert browsed["Content-Type"].startswith("text/html")
    assert "script-src 'self'; style-src 'self' 'unsafe-inline';" in browsed["Content-Security-Policy"]


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/admin/calendar/", "/admin/export/?of=lead", "/admin/tasks/task/"])
def test_pages_of_the_admin_site_that_belong_to_no_model_evaluate_too(client, make_user, path):
    client.force_login(make_user("admin", is_staff=True))
    response = client.get(path)
    assert response.status_code == 200
    assert "script-src 'self' 'unsafe-inline' 'unsafe-eval';" in response["Content-Security-Policy"]


def test_strict_transport_is_asked_for_once_https_is(settings):
    assert "Strict-Transport-Security" not in Client().get("/api/docs/", secure=True)
    settings.SECURE_HSTS_SECONDS = 31536000
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = settings.SECURE_HSTS_PRELOAD = True
    header = Client().get("/api/docs/", secure=True)["Strict-Transport-Security"]
    assert header == "max-age=31536000; includeSubDomains; preload"


def test_no_other_origin_may_read_the_api_until_one_is_named(client, settings):
    closed = preflight(client)
    assert "Access-Control-Allow-Origin" not in closed

    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]
    assert preflight(client)["Access-Control-Allow-Origin"] == ORIGIN
    assert "Access-Control-Allow-Credentials" not in preflight(client)
    assert "Access-Control-Allow-Origin" not in preflight(client, origin="https://evil.example.com")
    assert "Access-Control-Allow-Origin" not in client.get("/admin/login/", headers={"Origin": ORIGIN})


@pytest.mark.parametrize(
    "name", ["authorization", "content-type", "idempotency-key", "if-match", "x-request-id"]
)
def test_a_named_origin_may_send_every_header_that_the_api_reads(client, settings, name):
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]
    assert name in preflight(client)["Access-Control-Allow-Headers"].split(", ")


def preflight(client, origin=ORIGIN):
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    return client.options("/api/v1/leads/", headers=headers)
