"""Small pieces of JSON schema (OpenAPI 3.1)."""

from typing import Any

from core.entities.columns import Column, column

Schema = dict[str, Any]
JSON = "application/json"
ID: Schema = {"type": "integer", "minimum": 1}
TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
MOMENT: Schema = {"type": "string", "format": "date-time"}
ANYTHING: Schema = {"type": "object", "additionalProperties": True}


def ref(name: str) -> Schema:
    """A schema kept under `components`."""
    return {"$ref": f"#/components/schemas/{name}"}


def headers(*names: str) -> dict[str, Schema]:
    """Headers of an answer, kept under `components` (core.api.schema.hooks)."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def object_of(properties: dict[str, Schema], required: tuple[str, ...] = ()) -> Schema:
    made: Schema = {"type": "object", "properties": properties}
    return made | ({"required": list(required)} if required else {})


def answer_of(properties: dict[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    """What an answer holds; all of it is always there, but for what is optional."""
    return object_of(properties, tuple(name for name in properties if name not in optional))


def array_of(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def nullable(schema: Schema) -> Schema:
    if "type" not in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    choices = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return schema | {"type": [*kinds, "null"]} | choices


# Where a part of the change table is no more (core.changes.archived).
ARCHIVED_BEFORE: dict[str, Schema] = {
    "archived_before": {
        "type": "string",
        "format": "date-time",
        "description": "Changes from before this moment were archived and are not here.",
    }
}


def changes_page_of(item: Schema) -> Schema:
    """A page that also says where older changes are no more."""
    page = page_of(item)
    return page | {"properties": page["properties"] | ARCHIVED_BEFORE}


def page_of(item: Schema) -> Schema:
    """A page of a list, as core.api.pagination gives it."""
    address = nullable({"type": "string", "format": "uri"})
    count = nullable({"type": "integer", "description": "Null when reading by cursor."})
    estimated = FLAG | {"description": "True where `count` is an estimate."}
    return answer_of(
        {
            "count": count,
            "count_estimated": estimated,
            "next": address,
            "previous": address,
            "results": array_of(item),
        },
        optional=("count_estimated",),
    )


def of_column(column: Column) -> Schema:
    """A field of a record as the API shows it."""
    made = dict(column.field_type.json_schema())
    about = {"description": column.help_text} if column.help_text else {}
    return (nullable(made) if column.empty is None else made) | about


def of_columns(model: Any, *names: str) -> dict[str, Schema]:
    """Fields of any model as answers show them."""
    return {name: of_column(column(model, name)) for name in names}


def parameter(
    name: str, schema: Schema, description: str = "", *, where: str = "query", required: bool = False
) -> Schema:
    made = {"name": name, "in": where, "schema": schema, "description": description}
    return made | ({"required": True} if required else {})
