"""Reports about leads: their outcomes are found in the change table."""

from datetime import UTC, datetime

import pytest
from django.db import connection

from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
JANUARY = {"entity": "lead", "start": "2030-01-01", "end": "2030-01-31"}


def moment(day, hour=12):
    return datetime(2030, 1, day, hour, tzinfo=UTC)


def changed_at(at, lead, **fields):
    Lead.objects.filter(pk=lead.pk).update(**fields)
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('crm.maintenance', 'on', true)")
        cursor.execute(
            "UPDATE core_change SET at = %s"
            " WHERE id = (SELECT max(id) FROM core_change WHERE object_id = %s)",
            [at, lead.pk],
        )


@pytest.fixture
def leads(rep):
    made = {"created_at": moment(1), "owner": rep, "estimated_value": 100, "lead_source": "event"}
    won, lost, _ = (LeadFactory(**made) for _ in range(3))
    changed_at(moment(4), won, status="contacted")
    changed_at(moment(9), won, status="converted", converted_at=moment(9))
    changed_at(moment(20), lost, status="lost", lost_reason="Price")


def get(client, name, **params):
    response = client.get(f"/api/v1/reports/{name}/", params)
    assert response.status_code == 200, response.json()
    return response.json()


def test_leads_are_lost_when_their_status_changed(api, rep, leads):
    found = get(api(rep), "trend", period="week", **JANUARY)
    closed = [(r["period"], r["created"], r["won"], r["lost"]) for r in found["rows"]]
    assert closed == [
        ("2029-12-31", 3, 0, 0),
        ("2030-01-07", 0, 1, 0),
        ("2030-01-14", 0, 0, 1),
        ("2030-01-21", 0, 0, 0),
        ("2030-01-28", 0, 0, 0),
    ]
    assert found["totals"]["by_currency"] == {
        "USD": {"created_value": "300.00", "won_value": "100.00", "lost_value": "100.00"}
    }
    [reason] = get(api(rep), "win_loss", **JANUARY)["rows"]
    assert (reason["value"], reason["lost"]) == ("Price", 1)


def test_the_funnel_of_leads_is_by_status(api, rep, leads):
    found = get(api(rep), "funnel", **JANUARY)
    assert [(r["step"], r["count"], r["median_days"]) for r in found["rows"]] == [
        ("new", 3, None),
        ("contacted", 1, 3.0),
        ("nurturing", 1, None),
        ("qualified", 1, None),
        ("proposal", 1, None),
        ("converted", 1, 5.0),
    ]
    assert (found["open"], found["won"], found["lost"]) == (1, 1, 1)


def test_velocity_of_leads(api, rep, leads):
    rows = get(api(rep), "velocity", **JANUARY)["rows"]
    assert [(r["step"], r["left"], r["median_days"]) for r in rows][:2] == [
        ("new", 2, 11.0),
        ("contacted", 1, 5.0),
    ]


def test_leads_have_no_pipeline(api, rep):
    refused = api(rep).get("/api/v1/reports/funnel/", {"entity": "lead", "pipeline": "1"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "pipeline")
