"""The Postman collection: small, flat, and made of the committed document."""

import json

import pytest
import yaml

from backend.development import postman

MOST_BYTES = 1_000_000


@pytest.fixture(scope="module")
def document():
    return yaml.load(postman.DOCUMENT.read_text(), Loader=yaml.CSafeLoader)


@pytest.fixture(scope="module")
def collection():
    return json.loads(postman.COLLECTION.read_text())


def items(collection):
    """(method, path) → the item, and how many items there are."""
    found = [item for folder in collection["item"] for item in folder["item"]]
    requests = [item["request"] for item in found]
    called = [(one["method"], one["url"]["raw"].removeprefix("{{baseUrl}}")) for one in requests]
    return dict(zip(called, found, strict=True)), len(found)


def test_the_committed_file_is_the_documents_and_small(document, collection):
    assert collection == postman.collection(document)
    assert postman.COLLECTION.stat().st_size < MOST_BYTES


def test_every_operation_is_there_once_in_the_folder_of_its_tag(document, collection):
    described = [
        (method.upper(), path.replace("{", ":").replace("}", ""))
        for path, methods in document["paths"].items()
        for method in methods
        if method in postman.METHODS
    ]
    found, count = items(collection)
    assert (sorted(found), count) == (sorted(described), len(described))
    tags = [tag["name"] for tag in document["tags"]]
    assert [folder["name"] for folder in collection["item"]] == tags


def test_a_request_can_be_sent_as_it_stands(collection):
    found, _ = items(collection)
    signing_in = found["POST", "/api/auth/login/"]
    assert signing_in["request"]["auth"] == {"type": "noauth"}
    assert json.loads(signing_in["request"]["body"]["raw"]).keys() == {"username", "password"}
    assert signing_in["event"][0]["script"]["exec"] == postman.KEEP_TOKENS
    query = found["GET", "/api/v1/leads/"]["request"]["url"]["query"]
    about = "Words that must all occur."
    assert {"key": "search", "value": "", "description": about, "disabled": True} in query
    assert all(one["disabled"] for one in query)
    written = found["POST", "/api/v1/leads/"]["request"]
    assert json.loads(written["body"]["raw"])["first_name"] == "Ada"
    assert "auth" not in written
    form = found["POST", "/api/v1/import/:resource_type/"]["request"]["body"]["formdata"]
    assert {"key": "file", "type": "file", "src": [], "disabled": False} in form


def test_a_schema_that_holds_itself_ends(document):
    tree = {"type": "object", "required": ["below"], "properties": {"below": {"$ref": "#/x/schemas/Tree"}}}
    assert postman._sample({"components": {"schemas": {"Tree": tree}}}, tree) == {"below": {}}


def test_a_stale_file_is_said_so(tmp_path, monkeypatch, capsys):
    stale = tmp_path / "postman.json"
    stale.write_text("{}")
    monkeypatch.setattr(postman, "COLLECTION", stale)
    monkeypatch.setattr(postman, "BASE_DIR", tmp_path)
    assert postman.main(["--check"]) == 1
    assert "`make schema`" in capsys.readouterr().out
    assert stale.read_text() == "{}"
    assert postman.main([]) == 0
    assert postman.main(["--check"]) == 0
