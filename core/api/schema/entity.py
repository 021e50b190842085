"""Operations of entities, described from their columns."""

from typing import Any

from django_filters import Filter
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import inline_serializer
from rest_framework.permissions import SAFE_METHODS
from rest_framework.serializers import ChoiceField, Field, Serializer

from core.api.parameters import GROUPED
from core.api.schema.auto import CrmSchema
from core.api.schema.lists import PAGE_PARAMETERS
from core.api.schema.parts import (
    FLAG,
    ID,
    MOMENT,
    TEXT,
    Schema,
    answer_of,
    changes_page_of,
    nullable,
    parameter,
    ref,
)
from core.changes import timeline
from core.conditions.filters import ColumnFilter
from core.conditions.related import target_of
from core.entities import Column, Entity, entities, field_types
from core.entities.references import columns_of_target

PERSON = answer_of({"id": ID, "username": TEXT, "full_name": TEXT})
SHARED: dict[str, Schema] = {
    "Change": answer_of(
        {
            "id": ID,
            "entity": TEXT,
            "object_id": ID,
            "kind": TEXT | {"enum": ["created", "updated", "archived", "restored", "deleted"]},
            "changes": {
                "type": "object",
                "additionalProperties": answer_of({"old": {}, "new": {}}),
            },
            "actor": nullable(PERSON),
            "source": TEXT,
            "request_id": TEXT,
            "import_id": nullable(ID),
            "execution_id": nullable(ID),
            "agent_session_id": nullable(ID),
            "agent": TEXT,
            "at": MOMENT,
        }
    ),
    "Following": answer_of({"following": FLAG}),
}
SHAPE_PARAMETERS = [
    parameter("fields", TEXT, "Fields to show, separated by commas."),
    parameter("expand", TEXT, "References to show as objects, separated by commas."),
]
LIST_PARAMETERS = [
    *PAGE_PARAMETERS,
    parameter(
        "cursor", TEXT, "Empty begins a stable walk through any number of records; then follow `next`."
    ),
    parameter("ordering", TEXT, "Fields with commas, `-` for descending."),
    *SHAPE_PARAMETERS,
]
TIMELINE_PARAMETERS = [
    parameter("kind", TEXT, "Kinds of entries, separated by commas."),
    parameter("type", TEXT, "Types within the kinds (call, updated, …), separated by commas."),
    parameter("since", MOMENT, "From this moment on."),
    parameter("until", MOMENT, "Before this moment."),
    parameter("actor", ID, "What this user did."),
    PAGE_PARAMETERS[1],
    parameter("cursor", TEXT, "The cursor in `next` of the page before."),
]
CREATE_PARAMETERS = [
    *SHAPE_PARAMETERS,
    parameter("on_duplicate", TEXT | {"enum": ["create", "reject"]}, "What to do about possible duplicates."),
]
ARCHIVED = TEXT | {"enum": ["true", "false", "any"], "default": "false"}
# Actions that answer with one record.
SHOWING = (
    "retrieve",
    "update",
    "partial_update",
    "restore",
    "by_external_id",
    "upsert",
    "partial_upsert",
)
# Actions that compare `If-Match` with the record's version.
VERSIONED = (
    "update",
    "partial_update",
    "destroy",
    "restore",
    "upsert",
    "partial_upsert",
    "merge",
    "convert",
    "complete",
    "update_occurrence",
    "update_following",
    "accept_company",
    "dismiss_company",
    "add_contact",
    "change_contact",
    "remove_contact",
)
GROUP_PARAMETERS = [
    parameter(
        "group_by",
        TEXT,
        "Up to two names with commas: a choice, a flag, a reference, a short text, `team` (the owner's), a "
        "custom field of such a type, or a date by `__day`, `__week`, `__month`, `__quarter` or `__year`.",
    ),
    parameter(
        "metrics",
        TEXT,
        "Up to ten with commas: `sum_`, `avg_`, `min_` or `max_` and a column of numbers, as `sum_amount`.",
    ),
]
HARD = parameter("hard", FLAG, "Delete for good (administrators).")


class EntitySchema(CrmSchema):
    """The schema of an EntityViewSet; verbs of its own are annotated where they are written."""

    @property
    def entity(self) -> Entity:
        return self.view.entity

    def get_tags(self) -> list[str]:
        return [self.entity.plural]

    def get_request_serializer(self) -> Any:
        if self.view.action in ("bulk_create", "bulk_upsert"):
            return self._items(partial=self.view.action == "bulk_upsert")
        return None if self.view.action in ("restore", "follow") else super().get_request_serializer()

    def _items(self, *, partial: bool) -> Serializer:
        """The body of a request that writes many records."""
        fields: dict[str, Field] = {
            "items": self.view.serializer_class(many=True, partial=partial),
            "mode": ChoiceField(["partial", "atomic"], default="partial"),
        }
        return inline_serializer(f"{self.entity.name.title()}Bulk{'Upsert' if partial else 'Create'}", fields)

    def get_response_serializers(self) -> Any:
        for name, schema in (SHARED | timeline_components()).items():
            self._component(name, schema)
        record = self.view.serializer_class
        answers: dict[str, Any] = {
            "upsert": {"200": record, "201": record},
            "partial_upsert": {"200": record, "201": record},
            "destroy": {"204": None},
            "statistics": {"200": self.view.statistics_serializer_class},
            "history": {"200": changes_page_of(ref("Change"))},
            "timeline": {"200": changes_page_of(ref("TimelineEntry"))},
            "follow": {"200": ref("Following")},
        }
        return answers.get(self.view.action) or super().get_response_serializers()

    def _get_filter_parameters(self) -> list[Schema]:
        own: dict[str, list[Schema]] = {
            "list": [*LIST_PARAMETERS, *self._filters()],
            "history": [*PAGE_PARAMETERS, parameter("field", TEXT, "Changes of this field only.")],
            "timeline": TIMELINE_PARAMETERS,
            "create": CREATE_PARAMETERS,
            "destroy": [HARD],
        }
        if self.view.action in own:
            return own[self.view.action]
        if self._is_filtered():
            grouped = set(GROUPED) <= set(self.view.unfiltered_params.get(self.view.action, ()))
            return [*(GROUP_PARAMETERS if grouped else ()), *self._filters()]
        return SHAPE_PARAMETERS if self._shows_a_record() else []

    def _problems(self) -> list[str]:
        may_be_merged = self.view.action == "retrieve" and self.entity.merging is not None
        return [*super()._problems(), *(["301"] if may_be_merged else [])]

    def _shows_version(self) -> bool:
        return self.view.action == "create" or self._shows_a_record()

    def _headers_of_answer(self, status: str, asked: list[dict[str, Any]]) -> list[str]:
        found = super()._headers_of_answer(status, asked)
        return [*found, "Location"] if status == "201" and self._shows_version() else found

    def _has_version(self) -> bool:
        return self.method not in SAFE_METHODS and self.view.action in VERSIONED

    def _is_filtered(self) -> bool:
        """Whether the action reads the list's filters."""
        return self.view.allowed_query_params.get(self.view.action, ()) is None

    def _shows_a_record(self) -> bool:
        return self.view.action in SHOWING

    def _filters(self) -> list[Schema]:
        """One parameter per filter; those of columns each also with `__operator` (docs/api.md)."""
        general = [
            parameter("search", TEXT | {"maxLength": 200}, "Words that must all occur."),
            parameter("archived", ARCHIVED, "Archived records instead of the others; any for both."),
            parameter("view", ID, "The id of a saved view, whose conditions, search and ordering apply."),
            parameter("conditions", TEXT, "A condition as JSON."),
        ]
        described = {one["name"] for one in general}
        filters = self.view.filterset_class.base_filters
        made = [_filter(name, one) for name, one in filters.items() if name not in described]
        return [*general, *(one for one in made if one)]

    def _component(self, name: str, schema: Schema) -> None:
        """Keep `schema` under `components`."""
        component = ResolvedComponent(name=name, type=ResolvedComponent.SCHEMA, schema=schema, object=name)
        self.registry.register_on_missing(component)


def _filter(name: str, one: Filter) -> Schema | None:
    """A filter by a column with the operators it takes after two underscores, or one declared by hand. None
    for a column's filter with its operator, and for its second names."""
    if isinstance(one, ColumnFilter):
        if one.op is not None or name != one.column.name:
            return (
                None
                if one.op is None or "__" in name
                else parameter(name, TEXT, f"`{one.column.name}__{one.op}`.")
            )
        operators = ", ".join(one.column.field_type.operators)
        about = f"{one.column.help_text} " if one.column.help_text else ""
        about += f"Also `{name}__` and one of: {operators}."
        about += _behind(one.column)
        return parameter(name, _asked(one.column.field_type), about)
    return parameter(name, _asked(getattr(one, "field_type", None)), getattr(one, "help_text", ""))


def _behind(column: Column) -> str:
    """What a reference lets one ask one record further, as one pattern."""
    if not isinstance(column.field_type, field_types.Reference):
        return ""
    target = target_of(column)
    fields = [name for name, far in columns_of_target(target).items() if far.filterable]
    known = f"a field of {entities[target].plural}" if target in entities else f"one of: {', '.join(fields)}"
    example = next(name for name in fields if name != "id")
    return f" Behind it `{column.name}__` and {known}, with its operators (`{column.name}__{example}`)."


def _asked(field_type: field_types.FieldType | None) -> Schema:
    """A filter's value: several with commas are any of these, so it is text wherever it is no flag."""
    if isinstance(field_type, field_types.Boolean):
        return FLAG
    allowed = field_type.json_schema().get("enum") if field_type else None
    return TEXT | ({"description": f"Any of: {', '.join(a for a in allowed if a)}"} if allowed else {})


def timeline_components() -> dict[str, Schema]:
    """An entry of each kind with its own `data`, and any of them, by its `kind`."""
    names = {source.kind: f"Timeline{source.kind.title()}" for source in timeline.sources}
    kinds = {kind: ref(name)["$ref"] for kind, name in sorted(names.items())}
    entry = {
        "oneOf": [{"$ref": pointer} for pointer in kinds.values()],
        "discriminator": {"propertyName": "kind", "mapping": kinds},
    }
    return {names[source.kind]: _entry(source) for source in timeline.sources} | {"TimelineEntry": entry}


def _entry(source: timeline.TimelineSource) -> Schema:
    return answer_of(
        {
            "kind": TEXT | {"const": source.kind},
            "id": ID,
            "at": MOMENT,
            "actor": nullable(PERSON),
            "type": TEXT,
            "title": TEXT,
            "data": answer_of(dict(source.data)),
        }
    )
