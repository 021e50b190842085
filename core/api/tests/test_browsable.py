"""The API as pages for people in a browser."""

import pytest
from django.test import Client

from core.api.routes import router
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
BROWSER = {"HTTP_ACCEPT": "text/html,application/xhtml+xml,*/*;q=0.8"}
LISTS = sorted({prefix for prefix, viewset, _ in router.registry if hasattr(viewset, "list")})


@pytest.fixture
def browser(admin_user):
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    return client


@pytest.mark.parametrize("prefix", LISTS)
def test_every_list_is_a_page(browser, prefix):
    page = browser.get(f"/api/v1/{prefix}/", **BROWSER)
    assert (page.status_code, page["Content-Type"]) == (200, "text/html; charset=utf-8")


def test_a_record_is_a_page_without_all_that_it_could_refer_to(browser, django_assert_max_num_queries):
    lead = LeadFactory(first_name="Ada")
    LeadFactory.create_batch(3, first_name="Somebody else")
    # The time limit, the session and its row, its user, the record and its JSON.
    with django_assert_max_num_queries(8):
        page = browser.get(f"/api/v1/leads/{lead.pk}/", **BROWSER).content.decode()
    assert "Ada" in page
    assert "Somebody else" not in page


def test_json_stays_what_programs_get(admin, browser):
    assert admin.get("/api/v1/leads/").json()["count"] == 0
    assert admin.get("/api/v1/leads/", HTTP_ACCEPT="*/*")["Content-Type"] == "application/json"
    assert browser.get("/api/v1/leads/").status_code == 401
    assert browser.get("/api/v1/leads/", HTTP_ACCEPT="application/json").status_code == 401


def test_nothing_is_changed_without_the_token_of_the_page(browser):
    body = {"first_name": "Eve"}
    answer = browser.post("/api/v1/leads/", body, content_type="application/json", **BROWSER)
    assert answer.status_code == 403
    assert not Lead.objects.exists()


def test_who_is_not_signed_in_is_shown_where(client):
    page = client.get("/api/v1/leads/", **BROWSER)
    assert (page.status_code, page["Content-Type"]) == (401, "text/html; charset=utf-8")
    assert "/pages/login/?next=/api/v1/leads/" in page.content.decode()
    assert client.get("/pages/login/").status_code == 200


def test_a_missing_record_is_a_page_too(browser):
    page = browser.get("/api/v1/leads/999/", **BROWSER)
    assert (page.status_code, page["Content-Type"]) == (404, "text/html; charset=utf-8")
