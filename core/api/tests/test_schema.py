"""The OpenAPI document: complete, and true to the columns."""

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


def test_operation_ids_are_unique(document):
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert sorted(ids) == sorted(set(ids))


def test_an_entity_is_documented_with_its_columns(document):
    schemas = document["components"]["schemas"]
    for entity in entities:
        title = entity.name.title()
        assert set(entity.by_name) <= set(schemas[title]["properties"])
        writable = {c.name for c in entity.columns if c.writable}
        assert set(schemas[f"{title}Input"]["properties"]) == writable
        assert schemas[f"{title}Input"]["example"].keys() <= writable


def test_second_spellings_are_left_out(document):
    assert "/api/v1/leads/bulk_update/" in document["paths"]
    assert "/api/v1/leads/bulk-update/" not in document["paths"]


@pytest.mark.django_db
def test_a_documented_example_is_accepted(admin, document):
    example = document["components"]["schemas"]["LeadInput"]["example"]
    assert admin.post("/api/v1/leads/", example).status_code == 201


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
    results = answer["content"]["application/json"]["schema"]["properties"]["results"]
    assert {"rows_per_second", "undo_url"} <= set(results["items"]["properties"])
