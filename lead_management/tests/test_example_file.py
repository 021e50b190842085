"""The file that the first calls of the README import."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from backend.env import BASE_DIR
from lead_management.models import Lead

pytestmark = pytest.mark.django_db


def test_it_is_there_and_comes_in_whole(api, rep):
    assert "file=@examples/leads.csv" in (BASE_DIR / "README.md").read_text()
    content = (BASE_DIR / "examples" / "leads.csv").read_bytes()
    body = {"file": SimpleUploadedFile("leads.csv", content)}
    answer = api(rep).post("/api/v1/import/leads/", body, format="multipart").json()
    assert (answer["success"], answer["created"], answer["failed"]) == (True, 5, 0)
    kept = Lead.objects.order_by("id").values_list("first_name", "currency", "estimated_value")
    assert [(name, currency, value and str(value)) for name, currency, value in kept] == [
        ("Grace", "USD", "25000.00"),
        ("Konrad", "EUR", "18000.00"),
        ("Mary", "GBP", "7500.00"),
        ("Shigeru", "JPY", "1200000"),
        ("Sofia", "SEK", None),
    ]
