"""Leads over HTTP: create, read, change, find, archive."""

import pytest

pytestmark = pytest.mark.django_db

JOHN = {"first_name": "John", "last_name": "Doe", "email": "john@acme.example", "company_name": "Acme"}


def test_a_lead_is_created_with_its_defaults(admin, admin_user):
    response = admin.post("/api/v1/leads/", JOHN | {"source": "WEBSITE"})
    assert response.status_code == 201
    lead = response.json()
    assert lead["lead_source"] == "website"
    assert lead["status"] == "new"
    assert lead["owner"] == admin_user.pk
    assert lead["days_since_created"] == 0
    assert response["ETag"] == f'"{lead["id"]}-1"'
    assert response["Location"].endswith(f"/api/v1/leads/{lead['id']}/")


@pytest.mark.parametrize(
    ("field", "left"),
    [("call_attempts", 0), ("do_not_contact", False), ("status", "new"), ("currency", "USD"), ("city", "")],
)
def test_null_clears_a_field_to_nothing_or_to_its_default(admin, field, left):
    given = {
        "call_attempts": 3,
        "do_not_contact": True,
        "status": "contacted",
        "currency": "EUR",
        "city": "Rome",
    }
    lead = admin.post("/api/v1/leads/", JOHN | given).json()
    answer = admin.patch(f"/api/v1/leads/{lead['id']}/", {field: None})
    assert (answer.status_code, answer.json()[field]) == (200, left)
