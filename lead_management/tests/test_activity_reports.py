"""Activity by user, response time and cohorts of leads."""

from datetime import UTC, datetime, timedelta

import pytest

from core.activities.tests.factories import ActivityFactory
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
START = datetime(2025, 1, 10, 12, tzinfo=UTC)
JANUARY = {"start": "2025-01-01", "end": "2025-01-31"}


def get(client, name, **params):
    response = client.get(f"/api/v1/reports/{name}/", params)
    assert response.status_code == 200, response.json()
    return response.json()


@pytest.fixture
def answered(rep, admin_user):
    """Three leads of the rep: a call after half an hour, mail after two days, nothing; another's beside."""
    leads = [LeadFactory(owner=rep, created_at=START) for _ in range(3)]
    other = LeadFactory(owner=admin_user, created_at=START)

    def log(lead, after, kind, author):
        about = {"entity": "lead", "object_id": lead.pk, "author": author}
        ActivityFactory(type=kind, happened_at=START + after, **about)

    log(leads[0], timedelta(minutes=30), "call", rep)
    log(leads[0], timedelta(hours=30), "call", rep)
    log(leads[1], timedelta(days=2), "email", admin_user)
    log(other, timedelta(days=1), "note", admin_user)
    return leads


def test_activity_by_user(api, rep, admin, admin_user, answered):
    own = get(api(rep), "activity", **JANUARY)["rows"]
    assert [(r["user"], r["total"], r["records"], r["call"], r["email"]) for r in own] == [
        (rep.pk, 2, 1, 2, 0),
        (admin_user.pk, 1, 1, 0, 1),
    ]
    everyones = get(admin, "activity", **JANUARY)["rows"]
    assert {r["user"]: (r["total"], r["records"], r["note"]) for r in everyones} == {
        rep.pk: (2, 1, 0), admin_user.pk: (2, 2, 1),
    }  # fmt: skip
    assert get(admin, "activity", start="2024-01-01", end="2024-01-31")["rows"] == []


def test_response_time_is_until_the_first_activity(api, rep, answered):
    found = get(api(rep), "response_time", entity="lead", **JANUARY)
    expected = {
        "count": 3, "answered": 2, "median_hours": 24.25, "p90_hours": 43.25, "within_1_hours": 0.3333,
        "within_24_hours": 0.3333,
    }  # fmt: skip
    assert found["totals"] == expected
    assert found["rows"] == [{"user": rep.pk, "label": rep.get_full_name(), **expected}]


def test_cohorts_of_too_many_months_are_refused(api, rep):
    response = api(rep).get("/api/v1/reports/cohort/", {"start": "2025-01-01", "end": "2099-01-01"})
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "end")


def test_cohorts_are_by_the_month_of_creation_where_one_is(api, make_user):
    rep = make_user("rep", time_zone="Asia/Tokyo")
    late = datetime(2025, 1, 31, 16, tzinfo=UTC)  # in February, there
    won = {"owner": rep, "status": "converted"}
    LeadFactory(created_at=START, converted_at=START + timedelta(days=5), **won)
    LeadFactory(created_at=START, converted_at=datetime(2025, 3, 2, tzinfo=UTC), **won)
    LeadFactory(created_at=START, owner=rep)
    LeadFactory(created_at=late, converted_at=late, **won)
    rows = get(api(rep), "cohort", entity="lead", start="2025-01-01", end="2025-03-31")["rows"]
    assert [(r["month"], r["count"], r["won"], r["won_share"]) for r in rows] == [
        ("2025-01-01", 3, [1, 1, 2], [0.3333, 0.3333, 0.6667]),
        ("2025-02-01", 1, [1, 1], [1.0, 1.0]),
    ]
