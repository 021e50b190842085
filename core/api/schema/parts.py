"""Small pieces of JSON schema (OpenAPI 3.0)."""

from typing import Any

from core.entities.columns import Column

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


def object_of(properties: dict[str, Schema], required: tuple[str, ...] = ()) -> Schema:
    made: Schema = {"type": "object", "properties": properties}
    return made | ({"required": list(required)} if required else {})


def array_of(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def nullable(schema: Schema) -> Schema:
    return schema | {"nullable": True}


def page_of(item: Schema) -> Schema:
    """A page of a list, as core.api.pagination gives it."""
    address = nullable({"type": "string", "format": "uri"})
    count = nullable({"type": "integer", "description": "Null in a walk by cursor."})
    estimated = FLAG | {"description": "True where `count` is an estimate."}
    return object_of(
        {
            "count": count,
            "count_estimated": estimated,
            "next": address,
            "previous": address,
            "results": array_of(item),
        },
        ("count", "next", "previous", "results"),
    )


def of_column(column: Column) -> Schema:
    """A field of a record as the API shows it."""
    made = dict(column.field_type.json_schema())
    about = {"description": column.help_text} if column.help_text else {}
    return made | ({"nullable": True} if column.empty is None else {}) | about


def parameter(
    name: str, schema: Schema, description: str = "", *, where: str = "query", required: bool = False
) -> Schema:
    made = {"name": name, "in": where, "schema": schema, "description": description}
    return made | ({"required": True} if required else {})
