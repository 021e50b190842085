"""What a value may be: one class per type of column, used by the API, imports, filters and automation alike.

Field types are DRF serializer fields. `to_internal_value` takes what a client or a file gives and returns the
value to store, or raises a ValueRefusedError (DRF's ValidationError as well) with a stable code; it is
the one way in. To DRF's part they add the operators of the condition language and how SQL writes a value.
"""

from core.entities.field_types.base import FieldType, refuse, trimmed
from core.entities.field_types.choices import Choice, MultiChoice, TextList
from core.entities.field_types.numbers import Boolean, Float, Integer, Money, Number
from core.entities.field_types.references import BIGINT_MAX, Json, Reference
from core.entities.field_types.text import Email, Phone, Text, Url
from core.entities.field_types.times import Date, DateTime

__all__ = [
    "BIGINT_MAX",
    "Boolean",
    "Choice",
    "Date",
    "DateTime",
    "Email",
    "FieldType",
    "Float",
    "Integer",
    "Json",
    "Money",
    "MultiChoice",
    "Number",
    "Phone",
    "Reference",
    "Text",
    "TextList",
    "Url",
    "refuse",
    "trimmed",
]
