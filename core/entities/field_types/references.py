"""Ids of other records, and plain JSON."""

import re
from typing import Any, ClassVar

from django.utils.translation import gettext as _
from rest_framework import serializers

from core.entities.field_types.base import FieldType, refuse
from core.entities.field_types.text import checked_texts

BIGINT_MAX = 2**63 - 1


class Reference(FieldType, serializers.IntegerField):
    """The id of a record of `target` (an entity's name, or "user"); whether the caller sees it is checked
    where the caller is known."""

    type_name: ClassVar[str] = "reference"
    operators: ClassVar[tuple[str, ...]] = ("eq", "ne", "in", "not_in", "is_empty")

    def __init__(self, target: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.target = target

    def to_internal_value(self, data: Any) -> int:
        is_id = not isinstance(data, bool) and re.match(r"^\d{1,19}\Z", str(data), re.ASCII)
        if not is_id or int(data) > BIGINT_MAX:
            raise refuse("incorrect_type", _("Expected an id."))
        return int(data)

    def json_schema(self) -> dict[str, Any]:
        return {"type": "integer"}


class Json(FieldType, serializers.JSONField):
    """Any JSON value, read-only to filters."""

    type_name: ClassVar[str] = "json"
    operators: ClassVar[tuple[str, ...]] = ("is_empty",)

    def to_internal_value(self, data: Any) -> Any:
        return checked_texts(data)
