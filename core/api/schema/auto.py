"""The base of every operation: error answers, headers, ids in paths, pages."""

import inspect
import re
from typing import Any

from drf_spectacular.openapi import AutoSchema
from rest_framework.permissions import SAFE_METHODS, AllowAny
from rest_framework.serializers import ModelSerializer

from core.api.schema.hooks import problem_response
from core.api.schema.lists import resource_parameters
from core.api.schema.parts import ID, TEXT, headers, nullable, object_of, parameter

WRITING = ("400", "409", "413", "415", "422")
IDEMPOTENCY_KEY = parameter(
    "Idempotency-Key",
    TEXT | {"maxLength": 255},
    "Any unique text. A repetition gets the first answer again and changes nothing.",
    where="header",
)
IF_MATCH = parameter(
    "If-Match",
    TEXT,
    "The `ETag` of the version you read. If it was changed since, the answer is a 412.",
    where="header",
)


# Parameters in paths that are no ids.
WORDS = {
    "resource_type": "What the rows are: leads, contacts, companies, opportunities or tasks.",
    "key": "The key in the workflow's `hook_url`.",
    "token": "The secret of the feed.",
    "external_id": "What another system calls the record.",
}
# What the actions do that viewsets inherit.
SUMMARIES = {
    "list": "List {many}",
    "create": "Create {one}",
    "retrieve": "Read {one}",
    "update": "Replace {one}",
    "partial_update": "Change {one}",
    "destroy": "Delete {one}",
}
LONGEST_SUMMARY = 90


class CrmSchema(AutoSchema):
    """AutoSchema, with what all our views have in common."""

    view: Any
    _by_hand = False

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        operation.setdefault("summary", self._summary())
        for status in self._problems():
            operation["responses"].setdefault(status, problem_response(status))
        if any(one["name"] == "page" for one in operation.get("parameters", ())):
            operation["responses"].setdefault("404", problem_response("404"))
        asked = self._headers()
        if asked:
            operation["parameters"] = [*operation.get("parameters", []), *asked]
        for status, response in operation["responses"].items():
            named = self._headers_of_answer(status, asked)
            if named:
                response["headers"] = response.get("headers", {}) | headers(*named)
        return operation

    def _get_response_for_code(self, serializer: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """A page described by hand is a page, and not an item of a list of them."""
        self._by_hand = isinstance(serializer, dict) and "results" in serializer.get("properties", {})
        try:
            return super()._get_response_for_code(serializer, *args, **kwargs)
        finally:
            self._by_hand = False

    def _is_list_view(self, serializer: Any = None) -> bool:
        return not self._by_hand and super()._is_list_view(serializer)

    def _map_serializer(self, serializer: Any, direction: str, bypass_extensions: bool = False) -> Any:
        schema = super()._map_serializer(serializer, direction, bypass_extensions)
        if not type(serializer).__doc__:
            # A base's documentation is for its subclasses' authors.
            schema.pop("description", None)
        if direction == "request" and getattr(serializer, "refuses_unknown", False):
            schema = schema | {"additionalProperties": False}
        if direction == "response" and getattr(
            serializer, "answers_whole", isinstance(serializer, ModelSerializer)
        ):
            schema = schema | {"properties": schema["properties"] | _empty_columns(serializer, schema)}
            optional = getattr(serializer, "optional_in_answers", ())
            schema = schema | {"required": [name for name in schema["properties"] if name not in optional]}
        if direction == "response" and getattr(serializer, "null_in_answers", False):
            schema = object_of({name: nullable(one) for name, one in schema["properties"].items()})
        return schema

    def get_operation_id(self) -> str:
        """`leads_list`, `webhooks_test`: the resource and the action, however it is asked for."""
        basename, action = getattr(self.view, "basename", ""), getattr(self.view, "action", "")
        if not basename or not action:
            return super().get_operation_id()
        resource = re.sub("[^a-z]", "_", basename)
        if list(self.view.action_map.values()).count(action) == 1 or self.method in ("GET", "POST"):
            return f"{resource}_{action}"
        return f"{resource}_un{action}" if self.method == "DELETE" else f"{resource}_{action}_update"

    def _summary(self) -> str:
        """The first sentence of the action's documentation; where it has none, what is done with what."""
        action = getattr(self.view, "action", "") or ""
        if action in SUMMARIES and not inspect.getdoc(getattr(self.view, action)):
            return SUMMARIES[action].format(**self._names())
        sentence = " ".join((self.get_description() or "").split()).partition(". ")[0].rstrip(".")
        return sentence if len(sentence) <= LONGEST_SUMMARY else re.split("[;:] ", sentence)[0]

    def _names(self) -> dict[str, str]:
        """How the resource is called: "a saved view", "saved views"."""
        model = getattr(self.view, "model", None) or self.view.queryset.model
        one = str(model._meta.verbose_name)
        return {
            "one": f"{'an' if one[0].lower() in 'aeio' else 'a'} {one}",
            "many": str(model._meta.verbose_name_plural),
        }

    def _problems(self) -> list[str]:
        """Statuses that this operation may answer with beside its own."""
        found = ["400", "429"]
        is_open = any(isinstance(p, AllowAny) for p in self.view.get_permissions())
        if not is_open or getattr(self.view, "checks_credentials", False):
            found += ["401", "403"]
        if "{" in self.path:
            found.append("404")
        if self.method not in SAFE_METHODS:
            found += WRITING
        if self._has_version():
            found.append("412")
        return sorted(set(found))

    def _headers(self) -> list[dict[str, Any]]:
        kept = all(getattr(self.view, name, False) for name in ("writes_in_transaction", "keeps_answers"))
        found = [IDEMPOTENCY_KEY] if kept and self.method in ("POST", "PATCH") else []
        return [*found, IF_MATCH] if self._has_version() else found

    def _headers_of_answer(self, status: str, asked: list[dict[str, Any]]) -> list[str]:
        """The headers of an answer with this status that are worth reading."""
        if status not in ("200", "201", "202", "204"):
            return []
        names = ["Idempotency-Replayed"] if IDEMPOTENCY_KEY in asked else []
        if status in ("200", "201") and self._shows_version():
            names.append("ETag")
        if status == "202":
            names += getattr(self.view, "headers_of_jobs", ())
        return names

    def _shows_version(self) -> bool:
        """Whether the answer is one row, with its entity tag."""
        return hasattr(self.view, "etag") and self.view.action in ("retrieve", "update", "partial_update")

    def _has_version(self) -> bool:
        """Whether the operation changes one row that has an entity tag."""
        action = getattr(self.view, "action", None) or ""
        return (
            hasattr(self.view, "etag")
            and "{id}" in self.path
            and self.method not in SAFE_METHODS
            and "share" not in action
        )

    def _resolve_path_parameters(self, variables: list[str]) -> list[dict[str, Any]]:
        ids = [name for name in variables if name.endswith(("id", "pk")) and name not in WORDS]
        made = [
            parameter(name, ID, "The id of what the address names.", where="path", required=True)
            for name in ids
        ]
        others = super()._resolve_path_parameters([v for v in variables if v not in ids])
        return [*made, *(one | {"description": WORDS[one["name"]]} for one in others)]

    def _get_filter_parameters(self) -> list[dict[str, Any]]:
        if not self._is_resource_list():
            return super()._get_filter_parameters()
        return resource_parameters(self.view)

    def _is_resource_list(self) -> bool:
        """Whether this is the list of a ResourceViewSet."""
        return getattr(self.view, "action", "") == "list" and hasattr(self.view, "filterset_fields")


def _empty_columns(serializer: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """Properties that are null where their column is, though no client may send null."""
    if not isinstance(serializer, ModelSerializer):
        return {}
    model: Any = serializer.Meta.model
    empty = {column.name for column in model._meta.concrete_fields if column.null}
    return {
        name: nullable(schema["properties"][name])
        for name, field in serializer.fields.items()
        if field.source in empty and not field.allow_null and name in schema["properties"]
    }
