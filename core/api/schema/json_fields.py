"""What stands in fields of free JSON, which drf-spectacular would describe as anything at all."""

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension

from core.api.schema.parts import ANYTHING, Schema, array_of

CONDITION: Schema = {
    "oneOf": [ANYTHING, array_of(ANYTHING)],
    "description": "A condition (docs/api.md): `{field: value}`, or a tree of all, any and not.",
}
ANY_VALUE: Schema = {
    "type": ["string", "number", "boolean", "array", "object"],
    "items": {},
    "description": "A value of the field's own type.",
}
# By the name of the field; all others hold an object.
SHAPES: dict[str, Schema] = {
    "conditions": CONDITION,
    "trigger_conditions": CONDITION,
    "actions": array_of(ANYTHING) | {"description": "Steps, each with its `type` (docs/automation.md)."},
    "default": ANY_VALUE,
    "value": ANY_VALUE,
}


class JsonFields(OpenApiSerializerFieldExtension):
    target_class = "rest_framework.serializers.JSONField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: Any, direction: str) -> Schema:
        return SHAPES.get(self.target.field_name, ANYTHING)
