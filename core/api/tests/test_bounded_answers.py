"""Whatever is wrong, and however often: what is looked at and what is answered is bounded."""

import orjson
import pytest

from core.api.problems import MAX_ERRORS, listed
from core.changes.models import Change

pytestmark = pytest.mark.django_db
LEADS = "/api/v1/leads/"
# Of an answer, whatever was sent.
BOUND = 100_000


def refused(response, status=400):
    assert response.status_code == status, response.content[:300]
    assert len(response.content) < BOUND
    return orjson.loads(response.content)


@pytest.fixture
def nothing_written(admin):
    before = Change.objects.count()
    yield
    assert Change.objects.count() == before


@pytest.mark.usefixtures("nothing_written")
def test_a_thousand_unknown_fields_are_answered_by_fifty_errors(admin):
    body = refused(admin.post(LEADS, {f"nonsense_{i}": 1 for i in range(1_000)}))
    assert len(body["errors"]) <= MAX_ERRORS
    assert body["errors_truncated"] is True


@pytest.mark.usefixtures("nothing_written")
@pytest.mark.parametrize(
    ("path", "keys"), [(LEADS, 1_001), ("/api/v1/saved_views/", 1_001), ("/api/auth/login/", 51)]
)
def test_more_keys_than_an_object_may_have_are_not_looked_at(admin, path, keys):
    body = refused(admin.post(path, {f"k{i}": 1 for i in range(keys)}))
    assert body["detail"] == f"A JSON object may have {keys - 1} keys."
    assert body["errors"] == []


@pytest.mark.usefixtures("nothing_written")
def test_the_same_holds_inside_of_others(admin):
    inner = {f"k{i}": 1 for i in range(1_001)}
    assert "1000 keys" in refused(admin.post(LEADS, {"custom_fields": inner}))["detail"]
    assert "10000 items" in refused(admin.post(LEADS, {"tags": ["x"] * 10_001}))["detail"]
    assert "20000 items" in refused(admin.post(f"{LEADS}bulk_update/", {"ids": [1] * 20_001}))["detail"]


@pytest.mark.usefixtures("nothing_written")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/custom_fields/", {"entity": "lead", "choices": [{"x": i} for i in range(10_000)]}),
        (LEADS, {"first_name": "Ada", "custom_fields": {f"k{i}": "x" for i in range(1_000)}}),
        (LEADS, {"first_name": "Ada", "tags": list(range(10_000))}),
        ("/api/v1/webhooks/", {"name": "x", "events": [f"no.{i}" for i in range(10_000)]}),
        ("/api/v1/workflows/", {"name": "x", "actions": [{"type": str(i)} for i in range(10_000)]}),
        ("/api/v1/import_mappings/", {"name": "x", "settings": {f"k{i}": "x" for i in range(1_000)}}),
        (
            f"{LEADS}bulk_update/",
            {"ids": [1], "action": "update", "data": {f"k{i}": 1 for i in range(1_000)}},
        ),
    ],
)
def test_ten_thousand_wrong_entries_make_a_small_answer(admin, path, body):
    refused(admin.post(path, body))


@pytest.mark.usefixtures("nothing_written")
def test_so_do_preferences_and_conditions(admin):
    types = {"types": {f"t{i}": {"email": 5} for i in range(1_000)}}
    refused(admin.patch("/api/v1/notifications/preferences/", types))
    view = {"entity": "lead", "name": "x", "conditions": {"all": [{f"f{i}": 1} for i in range(900)]}}
    refused(admin.post("/api/v1/saved_views/", view))


def test_so_do_unknown_filters(admin):
    query = "&".join(f"nonsense{i}=1" for i in range(700))
    refused(admin.get(f"{LEADS}?{query}"))


def test_errors_are_cut_one_by_one_and_altogether():
    long = [{"field": "f" * 5_000, "code": "invalid", "message": "m" * 5_000}] * 49
    shown = listed(long)
    assert shown["errors_truncated"] is True
    assert {(len(e["field"]), len(e["message"])) for e in shown["errors"]} == {(200, 2_000)}
    assert len(shown["errors"]) == 14
    assert listed(long[:1]).get("errors_truncated") is None
    short = [{"field": "f", "code": "invalid", "message": "m"}]
    assert listed(short * MAX_ERRORS) == {"errors": short * MAX_ERRORS}
    assert listed(short * (MAX_ERRORS + 1)) == {"errors": short * MAX_ERRORS, "errors_truncated": True}
