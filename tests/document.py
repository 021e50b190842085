"""The committed OpenAPI document, and whether an answer is as it says."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.live import ROOT

DOCUMENT = ROOT / "docs" / "openapi.yaml"
METHODS = ("get", "post", "put", "patch", "delete")
# With these a client asks for another shape than the document's.
RESHAPING = {"fields", "expand", "format"}


@dataclass(frozen=True)
class Exchange:
    """An answer, and what it was asked by."""

    method: str
    url: str
    status: int
    content_type: str
    body: str


class Document:
    """The document; `problems` says where an answer differs from it."""

    def __init__(self, content: Mapping[str, Any] | None = None) -> None:
        self.content = content or yaml.load(DOCUMENT.read_text(), Loader=yaml.CSafeLoader)
        resource = Resource.from_contents(self.content, default_specification=DRAFT202012)
        self.registry: Registry[Any] = Registry().with_resource("urn:crm", resource)

    @cached_property
    def routes(self) -> list[tuple[re.Pattern[str], str]]:
        """Patterns of addresses and their paths, those with the fewest parameters first."""
        paths = sorted(self.content["paths"], key=lambda path: (path.count("{"), path))
        return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path) + r"\Z"), path) for path in paths]

    def path_of(self, address: str) -> str | None:
        address = address if address.endswith("/") else f"{address}/"
        return next((path for pattern, path in self.routes if pattern.match(address)), None)

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for path, methods in self.content["paths"].items():
            for method, operation in methods.items():
                if method in METHODS:
                    yield path, method, operation

    def problems(self, exchange: Exchange) -> list[str]:
        """Where the answer is not what the document says; nothing where it says so."""
        parts = urlsplit(exchange.url)
        path = self.path_of(parts.path)
        if path is None:
            return [] if exchange.status in (404, 405) else ["no such path in the document"]
        operation = self.content["paths"][path].get(exchange.method.lower())
        if operation is None:
            return [] if exchange.status in (401, 403, 405) else ["no such operation in the document"]
        response = self._resolved(operation["responses"].get(str(exchange.status)))
        if response is None:
            return [f"status {exchange.status} is not in the document"]
        if RESHAPING & parse_qs(parts.query, keep_blank_values=True).keys():
            return []
        return self._faults(response, exchange)

    def _faults(self, response: Mapping[str, Any], exchange: Exchange) -> list[str]:
        content = response.get("content", {})
        if not exchange.body:
            return [f"an empty answer, where {', '.join(content)} is promised"] if content else []
        kind = exchange.content_type.partition(";")[0]
        if kind not in content:
            return [f"{kind} is not in the document, which has {', '.join(content) or 'no content'}"]
        if kind not in ("application/json", "application/problem+json"):
            return []
        schema = anchored(content[kind].get("schema", {}))
        validator = Draft202012Validator(schema, registry=self.registry)
        found = sorted(validator.iter_errors(json.loads(exchange.body)), key=lambda e: list(map(str, e.path)))
        return [f"{'/'.join(map(str, error.path))}: {error.message[:300]}" for error in found]

    def _resolved(self, response: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        if response and "$ref" in response:
            return self.content["components"]["responses"][response["$ref"].rpartition("/")[2]]
        return response


def anchored(schema: Any) -> Any:
    """The schema with its references pointing into the document."""
    if isinstance(schema, list):
        return [anchored(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        key: f"urn:crm{value}" if key == "$ref" and value.startswith("#") else anchored(value)
        for key, value in schema.items()
    }
