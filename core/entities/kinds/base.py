"""The base of all kinds and what several of them share."""

import re
from dataclasses import dataclass
from typing import Any, ClassVar

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


def refuse(code: str, message: str) -> ValueRefusedError:
    return ValueRefusedError(message, code=code)


@dataclass(frozen=True)
class Kind:
    """Base: `name` goes into the schema, `operators` into the condition language."""

    name: ClassVar[str] = ""
    operators: ClassVar[tuple[str, ...]] = ("eq", "ne", "in", "not_in", "is_empty")
    # What stands for "nothing" in the column: "" for text, None elsewhere.
    empty: ClassVar[Any] = None
    # How SQL writes a value of this kind into JSON, around the column.
    json_sql: ClassVar[str] = "{}"

    def clean(self, raw: Any) -> Any:
        """The value to store. Raises ValueRefusedError."""
        raise refuse("invalid", "This kind takes no value.")

    def in_region(self, region: str) -> "Kind":
        """This kind for values written in a country (ISO 3166-1 alpha-2), where that makes a difference."""
        return self

    def warning(self, value: Any) -> str | None:
        """What is doubtful about a value that was taken all the same."""
        return None

    def schema(self) -> dict[str, Any]:
        """JSON schema of one value, as the API shows it."""
        return {}

    def to_json(self, value: Any) -> Any:
        """The value as conditions, custom fields and change rows keep it."""
        return value
