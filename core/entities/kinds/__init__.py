"""What a value may be: one class per kind of column, asked by the API, imports, filters and automation alike.

`clean` takes what a client or a file gives and returns the value to store, or raises ValueRefusedError with a
stable code. A kind knows nothing of requests, rows or databases.
"""

from core.entities.kinds.base import Kind, refuse, trimmed
from core.entities.kinds.choices import Choice, MultiChoice, TextList
from core.entities.kinds.numbers import Boolean, Float, Integer, Money, Number
from core.entities.kinds.references import BIGINT_MAX, Json, Reference
from core.entities.kinds.text import Email, Phone, Text, Url
from core.entities.kinds.times import Date, DateTime

__all__ = [
    "BIGINT_MAX",
    "Boolean",
    "Choice",
    "Date",
    "DateTime",
    "Email",
    "Float",
    "Integer",
    "Json",
    "Kind",
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
