"""The OpenAPI document: complete, and true to the columns."""

import re
from collections import Counter

import pytest
from drf_spectacular.generators import SchemaGenerator

from core.entities import entities

UNSAFE = ("post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def document():
    return SchemaGenerator().get_schema(request=None, public=True)


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_every_operation_says_what_it_does_and_what_can_go_wrong(document):
    for path, method, operation in operations(document):
        assert operation["summary"], (path, method)
        assert "429" in operation["responses"], (path, method)
        if operation["security"] != [{}] and {} not in operation["security"]:
            assert {"401", "403"} <= set(operation["responses"]), (path, method)


# One file under two addresses.
TWICE = {("import", "Download a CSV template with a header for every field that can be imported")}


def test_operations_of_a_tag_have_different_summaries(document):
    found = Counter((operation["tags"][0], operation["summary"]) for _, _, operation in operations(document))
    assert {key for key, count in found.items() if count > 1} == TWICE


def test_bases_do_not_describe_the_schemas_of_their_subclasses(document):
    texts = {schema.get("description", "") for schema in document["components"]["schemas"].values()}
    assert not {text for text in texts if "unknown fields" in text or "ModelSerializer" in text}


def test_versions_jobs_and_pages_are_documented_where_they_are(document):
    paths = document["paths"]
    asked = {
        operation["operationId"]: {one["name"] for one in operation.get("parameters", ())}
        for _, _, operation in operations(document)
    }
    for name in ("leads_update", "leads_convert", "goals_update", "goals_destroy", "webhooks_disable"):
        assert "If-Match" in asked[name], name
    for name in ("leads_unfollow", "leads_remove_share", "goals_create", "saved_views_add_share"):
        assert "If-Match" not in asked[name], name
    assert "412" in paths["/api/v1/goals/{id}/"]["patch"]["responses"]
    assert "404" in paths["/api/v1/goals/"]["get"]["responses"]
    made = paths["/api/v1/leads/"]["post"]["responses"]["201"]
    assert set(made["headers"]) == {"ETag", "Idempotency-Replayed", "Location"}
    begun = paths["/api/v1/exports/"]["post"]["responses"]["202"]
    assert {"Location", "Retry-After"} <= set(begun["headers"])


def test_operation_ids_are_unique(document):
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert sorted(ids) == sorted(set(ids))


# What is written beside the columns.
BESIDE = {"task": {"records"}}


def test_an_entity_is_documented_with_its_columns(document):
    schemas = document["components"]["schemas"]
    for entity in entities:
        title = entity.name.title()
        assert set(entity.by_name) <= set(schemas[title]["properties"])
        writable = {c.name for c in entity.columns if c.writable}
        beside = BESIDE.get(entity.name, set())
        assert set(schemas[f"{title}Request"]["properties"]) == writable | beside
        assert schemas[f"{title}Request"]["additionalProperties"] is False
        assert entity.example.keys() <= writable


def test_second_spellings_are_left_out(document):
    assert "/api/v1/leads/bulk_update/" in document["paths"]
    assert "/api/v1/leads/bulk-update/" not in document["paths"]


@pytest.mark.django_db
def test_a_documented_example_is_accepted(admin, document):
    body = document["paths"]["/api/v1/leads/"]["post"]["requestBody"]
    [example] = body["content"]["application/json"]["examples"].values()
    stored = document["components"]["examples"][example["$ref"].rpartition("/")[2]]
    assert admin.post("/api/v1/leads/", stored["value"]).status_code == 201


@pytest.mark.django_db
def test_the_pages_need_no_internet(client):
    for path in ("/api/docs/", "/api/redoc/"):
        page = client.get(path)
        assert page.status_code == 200
        assert b"cdn." not in page.content


def test_every_parameter_is_described(document):
    silent = [
        (path, method, parameter["name"])
        for path, method, operation in operations(document)
        for parameter in operation.get("parameters", [])
        if not parameter.get("description")
    ]
    assert silent == []


def test_a_list_is_one_page_and_not_a_page_of_pages(document):
    answer = document["paths"]["/api/v1/imports/"]["get"]["responses"]["200"]
    page = resolved(document, answer["content"]["application/json"]["schema"])
    item = resolved(document, page["properties"]["results"]["items"])
    assert {"rows_per_second", "columns"} <= set(item["properties"])


def test_every_list_answers_with_a_page_of_typed_results(document):
    for path, methods in document["paths"].items():
        operation = methods.get("get", {})
        if not operation.get("operationId", "").endswith("_list") or path == "/api/v1/calendar/":
            continue
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        page = resolved(document, schema)
        item = resolved(document, page["properties"]["results"]["items"])
        assert item["properties"], path
        assert "results" not in item["properties"], path


def test_what_is_no_list_is_documented_as_no_page(document):
    for path, field in (("/api/v1/scoring/", "total_leads"), ("/api/v1/calendar/", "enabled")):
        operation = document["paths"][path]["get"]
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        assert field in resolved(document, schema)["properties"]
        assert "parameters" not in operation
    feed = document["paths"]["/api/v1/changes/"]["get"]["parameters"]
    assert "page" not in [parameter["name"] for parameter in feed]


def test_what_is_pointed_at_is_there(document):
    pointed_at = set(re.findall(r"'#/components/(\w+)/([\w-]+)'", str(document)))
    assert len(pointed_at) > 50
    assert {(kind, name) for kind, name in pointed_at if name not in document["components"][kind]} == set()


def test_an_operation_is_named_by_its_resource_and_has_one_tag(document):
    ids = {operation["operationId"] for _, _, operation in operations(document)}
    expected = "leads_list leads_convert leads_bulk_update tasks_complete tags_merge saved_views_create"
    assert set(expected.split()) <= ids
    assert all(re.fullmatch("[a-z_]+", name) for name in ids)
    assert {len(operation["tags"]) for _, _, operation in operations(document)} == {1}


def test_no_answer_is_an_object_of_anything(document):
    free = set()
    for _, _, operation in operations(document):
        for status, answer in operation["responses"].items():
            content = answer.get("content", {}).get("application/json", {})
            schema = resolved(document, content.get("schema", {}))
            if status.startswith("2") and schema.get("type") == "object" and "properties" not in schema:
                free.add(operation["operationId"])
    # What these show is made of whatever triggers, actions, fields and tables there are.
    assert free <= {
        "workflows_vocabulary",
        "workflows_test",
        "workflows_backtest",
        "privacy_requests_download",
    }


def test_every_tag_is_described_and_used(document):
    used = {tag for _, _, operation in operations(document) for tag in operation["tags"]}
    assert used == {tag["name"] for tag in document["tags"]}
    assert all(tag["description"] for tag in document["tags"])


def test_a_record_in_an_answer_has_all_its_fields(document):
    for entity in entities:
        schema = document["components"]["schemas"][entity.name.title()]
        assert set(entity.by_name) <= set(schema["required"])
        assert not {"warnings", "possible_duplicates"} & set(schema["required"])


def test_statistics_board_and_forecast_are_typed(document):
    for path in ("leads/statistics", "leads/stats", "opportunities/pipeline", "opportunities/forecast"):
        operation = document["paths"][f"/api/v1/{path}/"]["get"]
        answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
        assert resolved(document, answer)["required"], path
        assert "lead_score" in {p["name"] for p in operation["parameters"]} or "leads" not in path


def resolved(document, schema):
    reference = schema.get("$ref", "")
    return document["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema
