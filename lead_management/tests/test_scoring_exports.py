"""The reasons of scores where people read them beside the leads: exports in every format, the admin page."""

import csv
import io
import json
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from python_calamine import CalamineWorkbook

from core.changes.models import Change
from core.lead_scoring import jobs, model_lifecycle
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory
from lead_management.tests.making import closed_leads

pytestmark = pytest.mark.django_db
FIELDS = "id,factors,lead_score,first_name"


@pytest.fixture
def ruled():
    """Three leads that the rules scored, the last without stored reasons yet."""
    made = [
        LeadFactory(first_name='=Ada, "A"', lead_source="referral", company_name="Engines"),
        LeadFactory(first_name="Bob", lead_source="other"),
        LeadFactory(first_name="Cy", lead_source="website"),
    ]
    jobs.score_ids([lead.pk for lead in made[:2]])
    return [lead.pk for lead in made]


@pytest.fixture
def learned():
    """Leads scored by a model."""
    closed_leads(300)
    assert model_lifecycle.retrain_model().status == "active"
    jobs.score_ids(list(Lead.objects.values_list("pk", flat=True)))


def exported(client, **params):
    return b"".join(client.get("/api/v1/export/leads/", params | {"ordering": "id"}).streaming_content)


def rows_of(text, **dialect):
    return list(csv.DictReader(io.StringIO(text), **dialect))


@pytest.mark.parametrize("delimiter", [",", ";", "tab"])
def test_a_csv_carries_the_reasons_when_they_are_named(admin, ruled, delimiter):
    text = exported(admin, fields=FIELDS, delimiter=delimiter).decode()
    rows = rows_of(text, delimiter={"tab": "\t"}.get(delimiter, delimiter))
    assert [row["factors"] for row in rows] == [
        "Source: referral +20; Company: known +10; base 50", "base 50", "Source: website +15; base 50",
    ]  # fmt: skip
    assert [row["first_name"] for row in rows] == ['\'=Ada, "A"', "Bob", "Cy"]
    assert "factors" not in rows_of(exported(admin).decode())[0]


def test_json_lines_and_spreadsheets_carry_them_too(admin, ruled):
    lines = [json.loads(line) for line in exported(admin, fields=FIELDS, format="jsonl").splitlines()]
    assert lines[0]["factors"] == "Source: referral +20; Company: known +10; base 50"
    assert lines[0]["first_name"] == '=Ada, "A"'
    book = CalamineWorkbook.from_filelike(io.BytesIO(exported(admin, fields=FIELDS, format="xlsx")))
    header, *rows = book.get_sheet_by_index(0).to_python()
    assert header == ["id", "factors", "lead_score", "first_name"]
    assert [row[1] for row in rows] == [line["factors"] for line in lines]
    assert [int(row[0]) for row in rows] == ruled


def test_a_learned_models_points_in_an_export_add_up_to_each_score(admin, learned):
    rows = rows_of(exported(admin, fields=FIELDS).decode())
    assert len(rows) == 300
    for row in rows:
        points = [int(part) for part in re.findall(r" ([+-]\d+)(?=;)", row["factors"])]
        base = int(row["factors"].rsplit("; base ")[-1])
        assert base + sum(points) == int(row["lead_score"])
    assert any(re.match(r"Source: referral \+\d+; ", row["factors"]) for row in rows)


def test_an_export_with_reasons_is_imported_again_and_changes_nothing(admin, ruled):
    before = list(Lead.objects.order_by("pk").values())
    last = Change.objects.latest("id").pk
    for form in ("csv", "xlsx"):
        file = SimpleUploadedFile(f"x.{form}", exported(admin, fields=FIELDS, format=form))
        body = {"file": file, "update_existing": "true"}
        found = admin.post("/api/v1/import/leads/", body, format="multipart").json()
        assert (found["unchanged"], found["updated"], found["failed"]) == (3, 0, 0), found
    assert list(Lead.objects.order_by("pk").values()) == before
    assert not Change.objects.filter(id__gt=last).exists()


def test_only_leads_have_reasons_and_an_unknown_field_is_named(admin):
    response = admin.get("/api/v1/export/companies/", {"fields": "id,factors"})
    assert response.status_code == 400
    assert "Unknown: factors" in response.content.decode()
    known = admin.get("/api/v1/export/leads/", {"fields": "id,nope"}).content.decode()
    assert "factors" in known


def test_a_leads_page_shows_the_points_of_the_model(client, make_user, learned):
    client.force_login(make_user("admin", is_staff=True))
    lead = Lead.objects.filter(lead_source="referral", lead_score__gt=60).first()
    page = client.get(f"/admin/lead_management/lead/{lead.pk}/change/").content.decode()
    shown = re.search(r"from 50, (.*?)</ul>", page, re.DOTALL)[1]
    points = [int(part) for part in re.findall(r" ([+-]\d+)</span>", shown)]
    assert "<span>Source: Referral +" in shown
    assert 50 + sum(points) == lead.lead_score
