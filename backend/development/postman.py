"""docs/postman.json from docs/openapi.yaml: a Postman collection (format 2.1) with a folder for each tag.

Converters write each schema out in each request, and answers besides: fifteen megabytes. Here a request has
the example that the document gives, else the required fields of its body, one level deep, and its parameters
switched off: a collection that opens at once. `make schema` writes the file, `make lint` compares it.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from backend.env import BASE_DIR

DOCUMENT = BASE_DIR / "docs" / "openapi.yaml"
COLLECTION = BASE_DIR / "docs" / "postman.json"
FORMAT = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
METHODS = ("get", "post", "put", "patch", "delete")
JSON, FORM = "application/json", "multipart/form-data"
SIGNS_IN = ("auth_login", "auth_refresh")
KEEP_TOKENS = [
    "const tokens = pm.response.json();",
    "if (tokens.access) pm.collectionVariables.set('token', tokens.access);",
    "if (tokens.refresh) pm.collectionVariables.set('refresh', tokens.refresh);",
]
# Of operators there is one line in each parameter's description; docs/api.md has them all.
OPERATORS = "Also `"
SAMPLES: dict[str, Any] = {"integer": 1, "number": 1, "boolean": False, "array": [], "object": {}}

Json = dict[str, Any]


def collection(document: Json) -> Json:
    """The whole collection; `baseUrl`, `token` and `refresh` are its variables."""
    operations = list(_operations(document))
    folders = [
        {
            "name": tag["name"],
            "description": tag["description"],
            "item": [_request(document, *one) for one in operations if tag["name"] in one[2]["tags"]],
        }
        for tag in document["tags"]
    ]
    return {
        "info": {
            "name": document["info"]["title"],
            "description": document["info"]["description"],
            "schema": FORMAT,
        },
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}]},
        "variable": [
            {"key": "baseUrl", "value": "http://127.0.0.1:8000"},
            {"key": "token", "value": ""},
            {"key": "refresh", "value": ""},
        ],
        "item": [folder for folder in folders if folder["item"]],
    }


def _operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                yield path, method, methods[method]


def _request(document: Json, path: str, method: str, operation: Json) -> Json:
    """One item: how the operation is called, without any of its answers."""
    body = _body(document, operation)
    request: Json = {
        "method": method.upper(),
        "description": operation.get("description", ""),
        "header": _parameters(operation, "header"),
        "url": _url(path, operation),
    }
    if operation.get("security", []) in ([], [{}]):
        request["auth"] = {"type": "noauth"}
    made: Json = {"name": operation["summary"], "request": request | ({"body": body} if body else {})}
    if operation["operationId"] in SIGNS_IN:
        made["event"] = [{"listen": "test", "script": {"type": "text/javascript", "exec": KEEP_TOKENS}}]
    return made


def _url(path: str, operation: Json) -> Json:
    written = path.replace("{", ":").replace("}", "")
    return {
        "raw": "{{baseUrl}}" + written,
        "host": ["{{baseUrl}}"],
        "path": written.strip("/").split("/") + ([""] if written.endswith("/") else []),
        "variable": [
            {"key": one["name"], "value": "", "description": one.get("description", "")}
            for one in operation.get("parameters", [])
            if one["in"] == "path"
        ],
        "query": _parameters(operation, "query"),
    }


def _parameters(operation: Json, where: str) -> list[Json]:
    """Switched off unless required, so that a request can be sent as it stands."""
    found = [one for one in operation.get("parameters", []) if one["in"] == where]
    return [
        {
            "key": one["name"],
            "value": "",
            "description": one.get("description", "").partition(OPERATORS)[0].strip(),
            "disabled": not one.get("required", False),
        }
        for one in found
    ]


def _body(document: Json, operation: Json) -> Json | None:
    content = operation.get("requestBody", {}).get("content", {})
    if JSON in content:
        example = _example(document, content[JSON]) or _sample(document, content[JSON].get("schema", {}))
        raw = json.dumps(_signing_in(operation, example), indent=2, ensure_ascii=False)
        return {"mode": "raw", "raw": raw, "options": {"raw": {"language": "json"}}}
    if FORM in content:
        schema = _resolved(document, content[FORM].get("schema", {}))
        required = schema.get("required", [])
        fields = schema.get("properties", {}).items()
        return {"mode": "formdata", "formdata": [_form_field(n, s, n in required) for n, s in fields]}
    return None


def _example(document: Json, media: Json) -> Any:
    """The first example of a body, kept under `components` or written where it is."""
    for one in media.get("examples", {}).values():
        pointed = one.get("$ref", "").rpartition("/")[2]
        return document["components"]["examples"][pointed]["value"] if pointed else one["value"]
    return media.get("example")


def _signing_in(operation: Json, example: Any) -> Any:
    return {"refresh": "{{refresh}}"} if operation["operationId"] == "auth_refresh" else example


def _form_field(name: str, schema: Json, required: bool) -> Json:
    is_file = schema.get("format") == "binary" or schema.get("contentMediaType") is not None
    kind: Json = {"type": "file", "src": []} if is_file else {"type": "text", "value": ""}
    return {"key": name, **kind, "disabled": not required}


def _sample(document: Json, schema: Json) -> Any:
    """The required fields of an object, each with a value of its type: what nests stays empty."""
    whole = _resolved(document, schema)
    if "properties" not in whole:
        return _value(document, whole)
    required = whole.get("required", [])
    return {name: _value(document, one) for name, one in whole["properties"].items() if name in required}


def _value(document: Json, schema: Json) -> Any:
    found = _resolved(document, schema)
    if "default" in found:
        return found["default"]
    if "enum" in found:
        return found["enum"][0]
    kinds = found.get("type", "object")
    return SAMPLES.get(kinds if isinstance(kinds, str) else kinds[0], "")


def _resolved(document: Json, schema: Json) -> Json:
    """A schema behind its reference; of several choices the first."""
    while True:
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        elif choices := schema.get("oneOf") or schema.get("anyOf") or schema.get("allOf"):
            schema = choices[0]
        else:
            return schema


def written(document: Path) -> str:
    """The text of the collection for a document."""
    content = yaml.load(document.read_text(), Loader=yaml.CSafeLoader)
    return json.dumps(collection(content), indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write the file, or with `--check` say whether it is what it should be."""
    text = written(DOCUMENT)
    if arguments != ["--check"]:
        COLLECTION.write_text(text)
        return 0
    if COLLECTION.exists() and COLLECTION.read_text() == text:
        return 0
    print(f"{COLLECTION.relative_to(BASE_DIR)} is not the document's. `make schema` writes it anew.")  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
