"""What Django limits by itself is a problem document at once, while debugging too."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

pytestmark = pytest.mark.django_db
LEADS = "/api/v1/leads/"
LOGIN = "/admin/login/"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(params=[True, False], ids=["debugging", "not debugging"])
def debugging(request, settings):
    settings.DEBUG = request.param


@pytest.fixture
def browser(debugging):
    return Client(raise_request_exception=False)


def problem(response, status=400):
    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    assert body["request_id"] == response["X-Request-ID"] != ""
    assert len(response.content) < 1_000
    return body["type"]


@pytest.mark.parametrize("path", [LEADS, "/api/v1/nothing/", "/admin/", "/api/auth/login/"])
def test_too_many_query_parameters(browser, path):
    query = "&".join(f"a{i}=1" for i in range(1_001))
    assert problem(browser.get(f"{path}?{query}")) == "/problems/too-many-fields"


def test_as_many_as_may_be_are_looked_at_one_by_one(browser, admin_user):
    query = "&".join(f"a{i}=1" for i in range(1_000))
    assert browser.get(f"{LEADS}?{query}").status_code == 401


def test_a_host_that_is_not_ours(browser):
    assert problem(browser.get(LEADS, headers={"host": "elsewhere.example"})) == "/problems/bad-request"


@pytest.mark.parametrize("path", [LOGIN, "/api/v1/notifications/unsubscribe/"])
def test_too_many_fields_of_a_form(browser, path):
    form = "&".join(f"a{i}=1" for i in range(1_001))
    assert problem(browser.post(path, form, content_type=FORM)) == "/problems/too-many-fields"


def test_too_many_fields_and_files_of_an_upload(browser, debugging, rep, api):
    signed_in = api(rep)
    signed_in.raise_request_exception = False
    fields = {f"a{i}": "1" for i in range(1_001)}
    refused = signed_in.post("/api/v1/import/leads/", fields, format="multipart")
    assert problem(refused) == "/problems/bad-request"
    files = {f"f{i}": SimpleUploadedFile(f"{i}.csv", b"a\n1\n") for i in range(101)}
    refused = signed_in.post("/api/v1/import/leads/", files, format="multipart")
    assert problem(refused) == "/problems/bad-request"


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("/api/auth/login/", 16 << 10),
        (LOGIN, 16 << 10),
        ("/api/auth/api-keys/", 16 << 10),
        (LEADS, 1 << 20),
        ("/api/v1/workflows/", 1 << 20),
        (f"{LEADS}bulk_update/", 10 << 20),
        (f"{LEADS}bulk-update", 10 << 20),
        ("/api/v1/contacts/assign/", 10 << 20),
        ("/admin/core/user/add/", 10 << 20),
    ],
)
def test_a_body_beyond_the_limit_of_its_kind_of_route(browser, path, size):
    just = browser.generic("POST", path, b"x" * size, content_type="text/plain")
    assert just.status_code not in (413, 500)
    refused = browser.generic("POST", path, b"x" * (size + 1), content_type="text/plain")
    assert problem(refused, 413) == "/problems/request-entity-too-large"


def test_uploads_are_limited_by_setting(browser, settings):
    settings.CRM = {"IMPORT_MAX_MB": 1}
    sent = browser.generic("POST", "/api/v1/import/leads/", b"x" * (2 << 20), content_type="text/plain")
    assert sent.status_code == 401
    sent = browser.generic("POST", "/api/v1/import/leads/", b"x" * ((2 << 20) + 1), content_type="text/plain")
    assert problem(sent, 413) == "/problems/request-entity-too-large"
