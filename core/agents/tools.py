"""The tools that AI clients are offered: each is an operation of the API, or one of several by a choice.

A tool's arguments and answers are described by the OpenAPI document of what it calls. An app registers the
verbs of its own entities. There is none that deletes.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

from core.access import scopes
from core.agents.calls import ApiRequest
from core.agents.schemas import Description, Operation, document
from core.api.schema.parts import FLAG, ID, TEXT, Schema, answer_of, array_of, nullable, object_of
from core.entities import entities
from core.models.record import etag_of
from core.registry import Registry

MOST_ROWS = 100
ROWS = 25
READS = frozenset(("GET",))
# Arguments that are no parameters of the address.
VALUES, DRY_RUN, VERSION = "values", "dry_run", "version"
_PARAMETER = re.compile(r"\{(\w+)\}")
_RESOURCE = re.compile(r"/api/v\d+/([^/]+)")
CHOICE = "choice"
# As text in an address, and as an object among arguments.
CONDITIONS = "conditions"


@dataclass(frozen=True)
class Tool:
    """An operation of the API by the name that AI clients call it.

    `path` has its parameters in braces. `{choice}` in it is what `choices` gives for the value of
    the argument `argument`. `query` names the query parameters that are offered, `fixed` those that are
    always sent. `paged` tools read page by page. `left_out` names fields of the body that are not offered,
    and refused.
    """

    name: str
    title: str
    description: str
    method: str
    path: str
    argument: str = ""
    choices: Callable[[], Mapping[str, str]] = dict
    query: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    paged: bool = False
    left_out: Callable[[], Collection[str]] = tuple

    @property
    def writes(self) -> bool:
        return self.method not in READS

    def paths(self) -> dict[str, str]:
        """Value of the choice → path; of a tool without a choice the one path under ""."""
        if not self.argument:
            return {"": self.path}
        return {value: self.path.replace(f"{{{CHOICE}}}", word) for value, word in self.choices().items()}

    def operations(self) -> list[Operation]:
        return [(self.method, path) for path in self.paths().values()]

    def choices_for(self, user: Any) -> list[str]:
        """The choices that the scopes of who asks cover; empty where the tool is of no use to them."""
        return [value for value, path in self.paths().items() if self._is_covered(user, path)]

    def _is_covered(self, user: Any, path: str) -> bool:
        resource = resource_of_path(path)
        if resource == SEARCH:
            return any(scopes.covers(user, entity.plural) for entity in entities)
        return scopes.covers(user, resource, writing=self.writes)

    def input_schema(self, choices: list[str] | None = None) -> Schema:
        """What the tool takes; with `choices` only these."""
        found = list(self.paths()) if choices is None else choices
        described = [self._description(self.paths()[choice]) for choice in found]
        properties: dict[str, Schema] = {}
        if self.argument:
            properties[self.argument] = TEXT | {"enum": found}
        required = [*properties, *self._ids()]
        properties |= dict.fromkeys(self._ids(), ID)
        properties |= {name: schema for name in self.query if (schema := self._asked(name, described))}
        if described and (body := described[0].body()):
            properties[VALUES] = self._offered(body)
            required.append(VALUES)
        properties |= self._added(described)
        return object_of(properties, tuple(required)) | {"additionalProperties": False}

    def _offered(self, body: Schema) -> Schema:
        shown = {k: v for k, v in body.get("properties", {}).items() if k not in self.left_out()}
        return body | {"properties": shown} if "properties" in body else body

    def refused_values(self, given: Mapping[str, Any]) -> list[str]:
        """The fields among `values` that this tool does not take."""
        values = given.get(VALUES)
        return sorted(values.keys() & set(self.left_out())) if isinstance(values, dict) else []

    def _ids(self) -> list[str]:
        return [name for name in _PARAMETER.findall(self.path) if name != CHOICE]

    def _asked(self, name: str, described: list[Description]) -> Schema | None:
        """A query parameter as the first of the operations that has it describes it."""
        if name == CONDITIONS:
            about = "A condition, as the resource crm://guide/conditions explains them."
            return {"type": "object", "additionalProperties": True, "description": about}
        if name == "page_size":
            return ID | {"maximum": MOST_ROWS, "default": ROWS, "description": "Rows per page."}
        return next((schema for one in described if (schema := one.parameter(name))), None)

    def _added(self, described: list[Description]) -> dict[str, Schema]:
        """Arguments for every tool that writes."""
        if not self.writes:
            return {}
        added = {DRY_RUN: FLAG | {"description": "Show what would be written, and write nothing."}}
        if described and described[0].has_version:
            about = "The `version` that was read: refused where the record was changed since."
            added[VERSION] = ID | {"description": about}
        return added

    def _description(self, path: str) -> Description:
        return Description(document(all_operations()), (self.method, path))

    def output_schema(self) -> Schema:
        """What the tool gives: what the API answers, under a notice that it is data."""
        answers = [self._description(path).answer() for path in self.paths().values()]
        shown: dict[str, Schema] = {"notice": TEXT, "untrusted": FLAG | {"const": True}}
        if self.paged:
            rows = [one.get("properties", {}).get("results", {}).get("items", {}) for one in answers]
            shown |= {"results": array_of(_any_of(rows)), "next": NEXT}
            return answer_of(shown)
        shown["result"] = _any_of(answers)
        if self.writes:
            shown |= {"dry_run": FLAG, "changes": array_of({"type": "object"})}
        return answer_of(shown, optional=("changes",))

    def request(self, given: Mapping[str, Any]) -> ApiRequest:
        """The request to the API that checked arguments make."""
        path = self.paths()[given[self.argument] if self.argument else ""]
        for name in self._ids():
            path = path.replace(f"{{{name}}}", str(given[name]))
        query = dict(self.fixed) | {name: _text(given[name]) for name in self.query if name in given}
        if self.paged:
            query.setdefault("page_size", ROWS)
        rows = int(query["page_size"]) if self.paged else 1
        headers = {"If-Match": etag_of(given["id"], given[VERSION])} if VERSION in given else {}
        body = given.get(VALUES, {}) if self.writes else None
        return ApiRequest(self.method, path, query, body, headers, rows)

    def answer(self, document: Any) -> dict[str, Any]:
        """What is shown of the API's answer."""
        if not self.paged:
            return {"result": document}
        return {"results": document["results"], "next": _following(document["next"], self.query)}


NEXT = nullable(
    {"type": "object", "description": "Arguments that read on, beside the same others; null at the end."}
)
SEARCH = "search"


def resource_of_path(path: str) -> str:
    """What scopes call that which is at a path of the API."""
    found = _RESOURCE.match(path)
    return found[1] if found else ""


def _any_of(schemas: list[Schema]) -> Schema:
    different = [schema for i, schema in enumerate(schemas) if schema not in schemas[:i]]
    return different[0] if len(different) == 1 else {"anyOf": different}


def _text(value: Any) -> Any:
    """An argument as it stands in an address."""
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, dict) else value


def _following(address: str | None, names: tuple[str, ...]) -> dict[str, Any] | None:
    """The arguments by which an address reads on."""
    if not address:
        return None
    query = parse_qs(urlsplit(address).query)
    if "cursor" in query and "cursor" in names:
        return {"cursor": query["cursor"][0]}
    return {"page": int(query["page"][0])}


tools: Registry[Tool] = Registry("tool")


def register(tool: Tool) -> Tool:
    return tools.register(tool.name, tool)


def _plurals() -> dict[str, str]:
    return {entity.name: entity.plural for entity in entities}


def of_entities(name: str, title: str, description: str, path: str, **options: Any) -> Tool:
    """A tool that reads records of any entity; `path` begins behind that of the entity's list."""
    where = f"/api/v1/{{{CHOICE}}}/{path}"
    return Tool(name, title, description, "GET", where, argument="entity", choices=_plurals, **options)


@lru_cache(maxsize=1)
def all_tools() -> dict[str, Tool]:
    """Those registered and those that every entity has, by name; once everything is registered."""
    made = [*tools, *_writing_tools()]
    return {tool.name: tool for tool in made}


@lru_cache(maxsize=1)
def all_operations() -> frozenset[Operation]:
    return frozenset(operation for tool in all_tools().values() for operation in tool.operations())


def _writing_tools() -> Iterator[Tool]:
    for entity in entities:
        word = entity.name.replace("_", " ")
        address = f"/api/v1/{entity.plural}/"
        about = f"Create one {word}. Answers with it, and names possible duplicates."
        yield Tool(f"create_{entity.name}", f"Create {word}", about, "POST", address, query=("on_duplicate",))
        about = (
            f"Change fields of one {word}; those not given stay. Give the `version` that was read, so that"
            " nobody's change in between is overwritten."
        )
        yield Tool(f"update_{entity.name}", f"Change {word}", about, "PATCH", f"{address}{{id}}/")
