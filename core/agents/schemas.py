"""What tools take and give, as the OpenAPI document says of the operations that they call.

The part of the document that is needed is made once in a process, when the first AI client asks.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from core.api.schema.generator import EnglishSchemaGenerator
from core.api.schema.parts import JSON, Schema

Operation = tuple[str, str]
_POINTER = "#/components/schemas/"
_PARAMETER = re.compile(r"\{\w+\}")
# What an answer may not be held to: fields can be left out of it, and hidden characters are written longer.
_LOOSE = ("required", "minLength", "maxLength", "pattern", "readOnly", "format", "minimum", "maximum")
_NOISE = ("x-spec-enum-id", "discriminator", "example", "xml", "deprecated")
# drf-spectacular's list of choices, which `enum` says as well.
_CHOICES = re.compile(r"\A\* `")


class _PartGenerator(EnglishSchemaGenerator):
    """The document of a few operations."""

    def __init__(self, wanted: frozenset[Operation]) -> None:
        super().__init__()
        self._wanted = {(method, _shape(path)) for method, path in wanted}

    def _initialise_endpoints(self) -> None:
        super()._initialise_endpoints()
        self.endpoints = [e for e in self.endpoints or () if (e[2], _shape(e[0])) in self._wanted]


def _shape(path: str) -> str:
    """The path whatever its parameters are called."""
    return _PARAMETER.sub("{}", path)


@lru_cache(maxsize=4)
def document(wanted: frozenset[Operation]) -> Mapping[str, Any]:
    """The operations by method and shape of the path, and the components they refer to."""
    made = _PartGenerator(wanted).get_schema(request=None, public=True)
    operations = {
        (method.upper(), _shape(path)): operation
        for path, methods in made["paths"].items()
        for method, operation in methods.items()
    }
    return {"operations": operations, "components": made["components"]["schemas"]}


class Description:
    """One operation of the document."""

    def __init__(self, made: Mapping[str, Any], operation: Operation) -> None:
        self._components = made["components"]
        self._operation = made["operations"][operation[0], _shape(operation[1])]
        self._changes = operation[0] in ("PUT", "PATCH")

    def parameter(self, name: str) -> Schema | None:
        """The schema of a query parameter, with its description; None where it takes none of this name."""
        found = [p for p in self._operation.get("parameters", ()) if (p["in"], p["name"]) == ("query", name)]
        if not found:
            return None
        about = found[0].get("description") or found[0]["schema"].get("description", "")
        return _without(found[0]["schema"], _NOISE) | ({"description": about} if about else {})

    @property
    def has_version(self) -> bool:
        """Whether it changes a record of which the version was read (`If-Match`)."""
        return self._changes and any(p["name"] == "If-Match" for p in self._operation.get("parameters", ()))

    def body(self) -> Schema | None:
        """The schema of the body, complete in itself; None without one."""
        content = self._operation.get("requestBody", {}).get("content", {})
        return self.complete(content[JSON]["schema"], _NOISE) if JSON in content else None

    def answer(self) -> Schema:
        """The schema of a successful answer, loosened to what is left of it in any case."""
        found = [
            response["content"][JSON]["schema"]
            for status, response in sorted(self._operation["responses"].items())
            if status.startswith("2") and JSON in response.get("content", {})
        ]
        return self.complete(found[0], (*_NOISE, *_LOOSE)) if found else {}

    def complete(self, schema: Schema, left_out: Iterable[str]) -> Schema:
        """The schema with every component it refers to in its place."""
        if "$ref" in schema:
            return self.complete(self._components[schema["$ref"].removeprefix(_POINTER)], left_out)
        made = _without(schema, left_out)
        if "oneOf" in made and "format" in left_out:
            # Loosened, two of them may both hold.
            made["anyOf"] = made.pop("oneOf")
        return {key: self._inside(key, value, left_out) for key, value in made.items()}

    def _inside(self, key: str, value: Any, left_out: Iterable[str]) -> Any:
        if key == "properties":
            return {name: self.complete(one, left_out) for name, one in value.items()}
        if isinstance(value, list):
            return [self.complete(one, left_out) if isinstance(one, dict) else one for one in value]
        return self.complete(value, left_out) if isinstance(value, dict) else value


def _without(schema: Schema, names: Iterable[str]) -> Schema:
    kept = {key: value for key, value in schema.items() if key not in names}
    if _CHOICES.match(str(kept.get("description", ""))):
        del kept["description"]
    return kept
