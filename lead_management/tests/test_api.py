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
