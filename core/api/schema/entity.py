"""Operations of entities, described from their columns."""

from typing import Any

from drf_spectacular.plumbing import ResolvedComponent

from core.api.schema.auto import CrmSchema
from core.api.schema.lists import PAGE_PARAMETERS
from core.api.schema.parts import (
    ANYTHING,
    FLAG,
    ID,
    MOMENT,
    TEXT,
    Schema,
    array_of,
    nullable,
    object_of,
    of_column,
    page_of,
    parameter,
    ref,
)
from core.entities import Column, Entity, field_types

IDS = array_of(ID) | {"maxItems": 10_000}
MODE = TEXT | {"enum": ["partial", "atomic"], "default": "partial"}
ERROR = object_of({"id": ID, "code": TEXT, "message": TEXT})
WARNING = object_of({"field": TEXT, "code": TEXT, "message": TEXT})
PERSON = object_of({"id": ID, "username": TEXT, "full_name": TEXT})
SHARED: dict[str, Schema] = {
    "BulkRequest": object_of(
        {
            "ids": IDS,
            "filter": ANYTHING | {"description": "A condition in place of `ids`."},
            "action": TEXT | {"enum": ["update", "delete", "assign"]},
            "data": ANYTHING,
            "mode": MODE,
        },
        ("action",),
    )
    | {"example": {"ids": [1, 2], "action": "update", "data": {"tags": ["vip"]}}},
    "AssignRequest": object_of(
        {
            "ids": IDS,
            "filter": ANYTHING,
            "assigned_to": ID,
            "users": array_of(ID),
            "team": ID,
            "method": TEXT | {"enum": ["round_robin", "least_busy"]},
            "mode": MODE,
        }
    )
    | {"example": {"ids": [1, 2, 3], "users": [4, 5], "method": "round_robin"}},
    "BulkResult": object_of(
        {
            "success": FLAG,
            "updated": {"type": "integer"},
            "deleted": {"type": "integer"},
            "errors": array_of(ERROR),
            "results": array_of(
                object_of(
                    {"index": {"type": "integer"}, "id": ID, "status": TEXT, "code": TEXT, "message": TEXT}
                )
            ),
        },
        ("success", "errors", "results"),
    ),
    "Change": object_of(
        {
            "id": ID,
            "entity": TEXT,
            "object_id": ID,
            "kind": TEXT | {"enum": ["created", "updated", "archived", "restored", "deleted"]},
            "changes": {
                "type": "object",
                "additionalProperties": object_of({"old": {"nullable": True}, "new": {"nullable": True}}),
            },
            "actor": nullable(PERSON),
            "source": TEXT,
            "request_id": TEXT,
            "import_id": nullable(ID),
            "execution_id": nullable(ID),
            "at": MOMENT,
        }
    ),
    "TimelineEntry": object_of(
        {
            "kind": TEXT | {"description": "change, activity, comment, email, task, workflow, conversion"},
            "id": ID,
            "at": MOMENT,
            "actor": nullable(PERSON),
            "type": TEXT,
            "title": TEXT,
            "data": ANYTHING,
        },
        ("kind", "id", "at", "title"),
    ),
    "Following": object_of({"following": FLAG}),
}
SHAPE_PARAMETERS = [
    parameter("fields", TEXT, "Names of the fields to show, with commas."),
    parameter("expand", TEXT, "References to show as objects, with commas."),
]
LIST_PARAMETERS = [
    *PAGE_PARAMETERS,
    parameter("cursor", TEXT, "Empty starts a stable walk of any size; then follow `next`."),
    parameter("ordering", TEXT, "Fields with commas, `-` for descending."),
    *SHAPE_PARAMETERS,
]
TIMELINE_PARAMETERS = [
    parameter("kind", TEXT, "Kinds of entries, with commas."),
    parameter("type", TEXT, "Types within the kinds (call, updated, …), with commas."),
    parameter("since", MOMENT, "From this moment on."),
    parameter("until", MOMENT, "Before this moment."),
    parameter("actor", ID, "What this user did."),
    PAGE_PARAMETERS[1],
    parameter("cursor", TEXT, "As given in `next`."),
]
CREATE_PARAMETERS = [
    *SHAPE_PARAMETERS,
    parameter("on_duplicate", TEXT | {"enum": ["create", "reject"]}, "What to do about possible duplicates."),
]
ARCHIVED = TEXT | {"enum": ["true", "false", "any"], "default": "false"}
HARD = parameter("hard", FLAG, "Delete for good (administrators).")
MANY = {"200": ref("BulkResult"), "207": ref("BulkResult")}


class EntitySchema(CrmSchema):
    """The schema of an EntityViewSet; verbs of its own are annotated where they are written."""

    @property
    def entity(self) -> Entity:
        return self.view.entity

    @property
    def title(self) -> str:
        return self.entity.name.title().replace("_", "")

    def get_tags(self) -> list[str]:
        return [self.entity.plural]

    def get_operation_id(self) -> str:
        name = f"{self.entity.plural}_{self.view.action}"
        return name if self.method != "DELETE" or self.view.action == "destroy" else f"un{name}"

    def get_request_serializer(self) -> Any:
        bodies = {
            "create": self._component(f"{self.title}Input", self._input(required=True)),
            "update": ref(f"{self.title}Input"),
            "partial_update": self._component(f"{self.title}Patch", self._input(required=False)),
            "bulk_update": self._component("BulkRequest", SHARED["BulkRequest"]),
            "assign": self._component("AssignRequest", SHARED["AssignRequest"]),
        }
        body = bodies.get(self.view.action)
        return {"application/json": body} if body else None

    def get_response_serializers(self) -> Any:
        record = self._component(self.title, self._record())
        for name in ("BulkResult", "Change", "TimelineEntry", "Following"):
            self._component(name, SHARED[name])
        answers: dict[str, Any] = {
            "list": {"200": page_of(record)},
            "create": {"201": record},
            "destroy": {"204": None},
            "bulk_update": MANY,
            "assign": MANY,
            "statistics": {"200": ANYTHING},
            "history": {"200": page_of(ref("Change"))},
            "timeline": {"200": page_of(ref("TimelineEntry"))},
            "follow": {"200": ref("Following")},
        }
        return answers.get(self.view.action, {"200": record})

    def _get_filter_parameters(self) -> list[Schema]:
        own: dict[str, list[Schema]] = {
            "list": [*LIST_PARAMETERS, *self._filters()],
            "statistics": self._filters(),
            "history": PAGE_PARAMETERS,
            "timeline": TIMELINE_PARAMETERS,
            "create": CREATE_PARAMETERS,
            "destroy": [HARD],
        }
        return own.get(self.view.action, SHAPE_PARAMETERS if self._shows_a_record() else [])

    def _shows_a_record(self) -> bool:
        return self.view.action in ("retrieve", "update", "partial_update", "restore")

    def _filters(self) -> list[Schema]:
        """One parameter per filterable column; each also with `__operator` (docs/api.md)."""
        fields = [_filter(c) for c in self.entity.columns if c.filterable]
        named = [parameter(n, _asked(f.field_type), f.help_text) for n, f in self.entity.filters.items()]
        general = [
            parameter("search", TEXT | {"maxLength": 200}, "Words that must all occur."),
            parameter("archived", ARCHIVED, "Archived records instead of the others; any for both."),
            parameter("view", ID, "A saved view."),
            parameter("conditions", TEXT, "A condition as JSON."),
        ]
        return [*general, *named, *fields]

    def _record(self) -> Schema:
        shown = {
            c.name: of_column(c) | ({} if c.writable else {"readOnly": True}) for c in self.entity.columns
        }
        if self.entity.duplicates:
            shown["possible_duplicates"] = array_of(object_of({"id": ID, "name": TEXT})) | {"readOnly": True}
        shown["warnings"] = array_of(WARNING) | {
            "readOnly": True,
            "description": "In the answer to a write: what was taken and is doubtful.",
        }
        return object_of(shown, ("id",))

    def _input(self, *, required: bool) -> Schema:
        writable = [c for c in self.entity.columns if c.writable]
        names = tuple(c.name for c in writable if c.required) if required else ()
        example = {"example": self.entity.example} if self.entity.example else {}
        strict = {"additionalProperties": False}
        return object_of({c.name: of_column(c) for c in writable}, names) | strict | example

    def _component(self, name: str, schema: Schema) -> Schema:
        """Keep `schema` under `components` and point at it."""
        component = ResolvedComponent(name=name, type=ResolvedComponent.SCHEMA, schema=schema, object=name)
        self.registry.register_on_missing(component)
        return component.ref


def _filter(column: Column) -> Schema:
    """A filter by a column, with the operators it takes after two underscores."""
    operators = ", ".join(column.field_type.operators)
    about = f"{column.help_text} " if column.help_text else ""
    return parameter(
        column.name, _asked(column.field_type), f"{about}Also `{column.name}__` and one of: {operators}."
    )


def _asked(kind: field_types.FieldType) -> Schema:
    """A filter's value: several with commas are any of these, so it is text wherever it is no flag."""
    if isinstance(kind, field_types.Boolean):
        return FLAG
    allowed = kind.json_schema().get("enum")
    return TEXT | ({"description": f"Any of: {', '.join(a for a in allowed if a)}"} if allowed else {})
