"""Examples in the OpenAPI document: declared in `api_examples.yaml` and by entities, completed by schemas.

An example stands under `components/examples` and is pointed at by each operation that shows it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from core.entities import Entity, entities

DECLARED = Path(__file__).with_suffix(".yaml")
SENT, ANSWERED = ("application/json", "multipart/form-data"), "application/json"
CHANGING = ("partial_update", "partial_upsert")
SHOWING = ("create", "retrieve", "update", "restore", "by_external_id", "upsert", *CHANGING)
# What a value of a type or format is where no example says so and it cannot be null.
EMPTY: dict[str, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": [], "object": {}}
FORMATS = {
    "date-time": "2026-11-27T14:03:09.480000Z",
    "date": "2026-11-27",
    "decimal": "0.00",
    "email": "office@engines.example",
}
MISSING = object()

Json = dict[str, Any]


def add_examples(result: Json, **kwargs: Any) -> Json:
    """Postprocessing hook: give operations their examples."""
    declared = yaml.safe_load(DECLARED.read_text())
    examples = Examples(result["components"], declared["typical"])
    operations = {one["operationId"]: one for methods in result["paths"].values() for one in methods.values()}
    given = dict(_of_entities(declared["records"])) | declared["operations"]
    for name, example in given.items():
        if name in operations:
            examples.add(operations[name], name, example)
    result["components"]["examples"] = examples.stored
    return result


def _of_entities(records: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    """The examples of what every entity can do, by operationId."""
    for entity in entities:
        if entity.example:
            yield from _of_entity(entity, records.get(entity.plural, {}))


def _of_entity(entity: Entity, more: Json) -> Iterator[tuple[str, Json]]:
    sent, name = entity.example, entity.name.title()
    answer = {"shared": name, "answer": more.get("answer", {}) | sent}
    change = {"request": more["change"]} if "change" in more else {}
    for action in SHOWING:
        request = change if action in CHANGING else {"request": sent} if action != "retrieve" else {}
        yield f"{entity.plural}_{action}", answer | request
    page = {"count": 1, "next": None, "previous": None, "results": [answer["answer"]]}
    yield f"{entity.plural}_list", {"shared": f"{name}Page", "answer": page}


class Examples:
    """The examples of a document: `stored` under their names, each once."""

    def __init__(self, components: Json, typical: Json) -> None:
        self._schemas: Json = components["schemas"]
        self._typical = typical
        self.stored: Json = {}

    def add(self, operation: Json, name: str, example: Json) -> None:
        """Show an example in an operation: its `request` as it is, its `answer` with all that is required."""
        content = operation.get("requestBody", {}).get("content", {})
        for media in (content[kind] for kind in SENT if kind in content and "request" in example):
            self._show(media, f"{name}_request", example["request"])
        for status, response in operation["responses"].items():
            media = response.get("content", {}).get(ANSWERED)
            if status.startswith("2") and media and "answer" in example:
                answer = self.completed(media["schema"], example["answer"])
                self._show(media, example.get("shared", f"{name}_answer"), answer)

    def _show(self, media: Json, name: str, value: Any) -> None:
        media.pop("example", None)
        self.stored.setdefault(name, {"value": value})
        media["examples"] = {name: {"$ref": f"#/components/examples/{name}"}}

    def completed(self, schema: Json, given: Any = MISSING, name: str = "") -> Any:
        """`given` with every required field that it leaves out; without it, any value the schema allows."""
        schema = self._resolved(schema, given)
        if isinstance(given, dict) and "properties" in schema:
            return self._object(schema, given)
        if given is MISSING and _is(schema, "object"):
            return self._object(schema, {})
        if isinstance(given, list) and "items" in schema:
            return [self.completed(schema["items"], one) for one in given]
        return self._value(schema, name) if given is MISSING else given

    def _object(self, schema: Json, given: Json) -> Json:
        required = set(schema.get("required", ()))
        found = {
            name: self.completed(one, given.get(name, MISSING), name)
            for name, one in schema.get("properties", {}).items()
            if name in given or name in required
        }
        return found | {name: value for name, value in given.items() if name not in found}

    def _value(self, schema: Json, name: str) -> Any:
        if name in self._typical and self._typical[name] in schema.get("enum", (self._typical[name],)):
            return self._typical[name]
        if _is(schema, "null") or not schema:
            return None
        for key in ("const", "default"):
            if key in schema:
                return schema[key]
        if "enum" in schema:
            return schema["enum"][0]
        kind = schema.get("type", "object")
        return FORMATS.get(schema.get("format", ""), EMPTY[kind if isinstance(kind, str) else kind[0]])

    def _resolved(self, schema: Json, given: Any) -> Json:
        """The schema behind references; of several the one that may be null, else the first."""
        if "$ref" in schema:
            return self._resolved(self._schemas[schema["$ref"].rpartition("/")[2]], given)
        choices = schema.get("oneOf") or schema.get("anyOf") or schema.get("allOf")
        if not choices:
            return schema
        empty = [one for one in choices if _is(one, "null")]
        return self._resolved(empty[0] if empty and given in (MISSING, None) else choices[0], given)


def _is(schema: Json, kind: str) -> bool:
    found = schema.get("type")
    return found == kind or (isinstance(found, list) and kind in found)
