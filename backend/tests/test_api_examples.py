"""The examples of the OpenAPI document: valid by the schemas that they illustrate, and enough of them."""

from datetime import datetime

import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker

from backend.api_examples import DECLARED, Examples
from core.entities import entities
from tests.document import METHODS, Document, anchored

FEATURES = ("import", "imports", "export", "exports", "workflows", "webhooks", "search", "reports")


@pytest.fixture(scope="module")
def document():
    return Document()


def media_of(document):
    """(where, media, whether it is an answer) of every body that shows an example."""
    for _, method, operation in document.operations():
        assert method in METHODS
        bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
        for status, body in bodies.items():
            for kind, media in body.get("content", {}).items():
                if "examples" in media:
                    yield f"{operation['operationId']} {status} {kind}", media


def value_of(document, example):
    pointed = example.get("$ref", "").rpartition("/")[2]
    return document.content["components"]["examples"][pointed]["value"] if pointed else example["value"]


def test_every_example_is_valid_by_its_schema(document):
    found, faults = 0, []
    for where, media in media_of(document):
        validator = Draft202012Validator(
            anchored(media["schema"]), registry=document.registry, format_checker=FormatChecker()
        )
        for example in media["examples"].values():
            found += 1
            errors = validator.iter_errors(value_of(document, example))
            faults += [f"{where}: {list(error.path)} {error.message[:200]}" for error in errors]
    assert faults == []
    assert found > 130


def test_every_declared_example_is_shown(document):
    declared = yaml.safe_load(DECLARED.read_text())["operations"]
    ids = {operation["operationId"] for _, _, operation in document.operations()}
    assert declared.keys() - ids == set()
    shown = {where.split()[0] for where, _ in media_of(document)}
    assert declared.keys() - shown == set()
    for entity in entities:
        for action in ("list", "create", "retrieve", "update", "partial_update"):
            assert f"{entity.plural}_{action}" in shown
    tags = {tag for _, _, one in document.operations() if one["operationId"] in shown for tag in one["tags"]}
    assert {tag for tag in FEATURES if tag != "export"} <= tags


def test_what_an_example_leaves_out_is_added_by_the_schema():
    schemas = {
        "Part": {
            "type": "object",
            "properties": {"at": {"type": "string", "format": "date-time"}},
            "required": ["at"],
        }
    }
    schema = {
        "type": "object",
        "required": ["id", "name", "kind", "part", "gone", "owner"],
        "properties": {
            "id": {"type": "integer"},
            "name": {"type": "string"},
            "kind": {"type": "string", "enum": ["a", "b"]},
            "part": {"$ref": "#/components/schemas/Part"},
            "gone": {"oneOf": [{"$ref": "#/components/schemas/Part"}, {"type": "null"}]},
            "owner": {"type": ["integer", "null"]},
            "optional": {"type": "string"},
        },
    }
    made = Examples({"schemas": schemas}, {"id": 17}).completed(schema, {"name": "Ada"})
    datetime.fromisoformat(made["part"].pop("at"))
    assert made == {"id": 17, "name": "Ada", "kind": "a", "part": {}, "gone": None, "owner": None}
