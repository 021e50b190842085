"""Values inside what is no record (options of imports, workflows, scoring rules): refused, never a 500."""

import orjson
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from core.lead_scoring.models import ScoringRules
from core.transfer.models import SavedMapping
from core.workflows.models import Workflow

pytestmark = pytest.mark.django_db
NUL = "a\x00b"
IMPORTS = "/api/v1/import/leads/"


def refused(response):
    assert response.status_code == 400, response.content[:500]
    assert response["Content-Type"] == "application/problem+json"
    return [e["field"] for e in orjson.loads(response.content)["errors"]]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("encoding", "utf-16"), ("encoding", "idna"), ("encoding", "undefined"), ("encoding", "rot13"),
        ("date_format", '{"first_name":["email"]}'), ("date_format", "mm/mm/mm"), ("match_on", NUL),
        ("saved_mapping", NUL), ("mapping", '{"first_name": "a\\u0000b"}'), ("timezone", "Mars/Venus"),
        ("mapping", '{"a\\u0000": "email"}'), ("default_values", '{"city": {"a": ["\\u0000"]}}'),
        ("value_mapping", '{"status": {"\\u0000": "new"}}'), ("sheet", NUL), ("delimiter", "\x00"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["", "preview/"])
def test_an_option_of_an_import_is_refused_by_its_name(admin, option, value, verb):
    file = SimpleUploadedFile("leads.csv", b"first_name,email\nAda,ada@engines.example\n")
    response = admin.post(f"{IMPORTS}{verb}", {"file": file, option: value}, format="multipart")
    assert refused(response) == [option]


@pytest.mark.parametrize(
    "settings", [{"mapping": {"A": NUL}}, {"mapping": {NUL: "email"}}, {"timezone": []}, {"sheet": NUL}]
)
def test_a_saved_mapping_is_refused(admin, settings):
    body = {"name": "mine", "resource": "leads", "settings": settings}
    assert refused(admin.post("/api/v1/import_mappings/", body))
    assert not SavedMapping.objects.exists()


@pytest.mark.parametrize("kind", [[], {}, ["add_tag"], {"a": 1}, [[]], None, 5, NUL])
def test_an_actions_type_that_is_no_name_is_refused(admin, kind):
    body = {"name": "w", "trigger_type": "lead_created", "actions": [{"type": kind, "params": {"tag": "x"}}]}
    assert refused(admin.post("/api/v1/workflows/", body))
    assert not Workflow.objects.exists()


@pytest.mark.parametrize("wrong", [{"key": NUL}, {"label": NUL}, {"value": [NUL]}])
def test_a_scoring_rule_with_a_null_character_is_refused(admin, wrong):
    rule = {"key": "k", "feature": "lead_source", "test": "in", "value": ["referral"], "points": 5, **wrong}
    before = ScoringRules.objects.count()
    assert refused(admin.put("/api/v1/scoring/rules/", {"base": 50, "rules": [rule]})) == ["rules"]
    assert ScoringRules.objects.count() == before
