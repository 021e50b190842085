"""The base of every operation: error answers, headers, ids in paths, pages."""

import re
from typing import Any

from drf_spectacular.openapi import AutoSchema
from rest_framework.permissions import SAFE_METHODS, AllowAny
from rest_framework.serializers import ModelSerializer

from core.api.schema.hooks import problem_response
from core.api.schema.lists import resource_parameters
from core.api.schema.parts import ID, TEXT, nullable, object_of, parameter

WRITING = ("400", "409", "413", "415", "422")
IDEMPOTENCY_KEY = parameter(
    "Idempotency-Key", TEXT | {"maxLength": 255}, "A repetition is answered, not carried out.", where="header"
)
IF_MATCH = parameter("If-Match", TEXT, "The `ETag` of the version you read; else 412.", where="header")


# Parameters in paths that are no ids.
WORDS = {
    "resource_type": "What the rows are: leads, contacts, companies, opportunities or tasks.",
    "key": "The key in the workflow's `hook_url`.",
    "token": "The secret of the feed.",
    "external_id": "What another system calls the record.",
}


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
        headers = self._headers()
        if headers:
            operation["parameters"] = [*operation.get("parameters", []), *headers]
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
        """The first sentence of the documentation, else the name of the operation."""
        first = (self.get_description() or "").strip().partition("\n")[0].rstrip(".")
        return first if 0 < len(first) <= 90 else self.get_operation_id().replace("_", " ")

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

    def _has_version(self) -> bool:
        """Whether the operation changes one record that has an entity tag."""
        return (
            hasattr(self.view, "entity")
            and ("{id}" in self.path or "{external_id}" in self.path)
            and self.method in ("PUT", "PATCH", "DELETE")
        )

    def _resolve_path_parameters(self, variables: list[str]) -> list[dict[str, Any]]:
        ids = [name for name in variables if name.endswith(("id", "pk")) and name not in WORDS]
        made = [parameter(name, ID, "Whose address this is.", where="path", required=True) for name in ids]
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
