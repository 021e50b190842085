"""The base of all field types and what several of them share."""

import copy
import re
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Self

from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from core.errors import ValueRefusedError

ORDERED = ("eq", "ne", "in", "not_in", "lt", "lte", "gt", "gte", "between", "is_empty")
TEXTUAL = ("eq", "ne", "in", "not_in", "contains", "starts_with", "ends_with", "is_empty")
DATED = (*ORDERED, "before", "after", "within_last", "within_next")
# Blanks of every kind, among them zero-width ones, which files from other systems carry.
BLANKS = " \t\r\n\v\f\u00a0\u1680\u2000-\u200f\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
# The same written out: str.strip is six times as fast as a pattern.
_EDGES = "".join(c for c in map(chr, range(0x10000)) if re.match(f"[{BLANKS}]", c))


def trimmed(text: str) -> str:
    """`text` without blanks of any kind at its ends."""
    return text.strip(_EDGES)


class RefusedByTypeError(ValueRefusedError, serializers.ValidationError):
    """A value that a field type refuses: a domain error for our own code, a validation error for DRF's."""

    def __init__(self, message: str, *, code: str) -> None:
        self.message, self.code = str(message), code
        self.detail = [ErrorDetail(self.message, code)]

    def __str__(self) -> str:
        return self.message


def refuse(code: str, message: str) -> RefusedByTypeError:
    return RefusedByTypeError(message, code=code)


class FieldType(serializers.Field):
    """Base: a serializer field that also knows its operators and its SQL.

    Instances are shared by everything that looks at a column and stay as they were made; `copy` gives a
    serializer one of its own.
    """

    # How mappings, previews and the vocabulary of workflows name the type.
    type_name: ClassVar[str] = ""
    # The operators of the condition language.
    operators: ClassVar[tuple[str, ...]] = ("eq", "ne", "in", "not_in", "is_empty")
    # What stands for "nothing" in the column: "" for text, None elsewhere.
    empty_value: ClassVar[Any] = None
    # How SQL writes a value of this type into JSON, around the column.
    json_sql: ClassVar[str] = "{}"
    # What a reference points at: an entity's name, or "user"; "" for every other type.
    target: str = ""
    # Whether it makes a difference where values are from.
    is_regional: bool = False
    # Where DRF keeps what a field was made with.
    _args: tuple[Any, ...]
    _kwargs: dict[str, Any]

    def to_internal_value(self, data: Any) -> Any:
        """The value to store. Raises ValueRefusedError."""
        raise refuse("invalid", _("This type takes no value."))

    def to_representation(self, value: Any) -> Any:
        """The value as conditions, custom fields and change rows keep it."""
        return value

    def in_region(self, region: str) -> "FieldType":
        """This type for values written in a country (ISO 3166-1 alpha-2), where that makes a difference."""
        return self

    def warning(self, value: Any) -> str | None:
        """What is doubtful about a value that was taken all the same."""
        return None

    def named(self, values: Collection[Any]) -> Mapping[Any, str]:
        """What values are called that are keys of something with a name; the others are left out."""
        return {}

    def options(self) -> list[tuple[str, str]]:
        """The values there are, each with its name; none where anything may stand."""
        return []

    def json_schema(self) -> dict[str, Any]:
        """JSON schema of one value, as the API shows it."""
        return {}

    def copy(self, **options: Any) -> Self:
        """Another one like this, with some options of its own."""
        # Deep, as DRF's own: the field of a list's items is bound to its list.
        return type(self)(*copy.deepcopy(self._args), **{**copy.deepcopy(self._kwargs), **options})
