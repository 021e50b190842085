"""Ids of other records, and plain JSON."""

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from core.entities.kinds.base import Kind, refuse
from core.entities.kinds.text import checked_texts

BIGINT_MAX = 2**63 - 1


@dataclass(frozen=True)
class Reference(Kind):
    """The id of a record of `target` (an entity's name, or "user"); whether the caller sees it is checked
    where the caller is known."""

    name: ClassVar[str] = "reference"
    operators: ClassVar[tuple[str, ...]] = ("eq", "ne", "in", "not_in", "is_empty")
    target: str = ""

    def clean(self, raw: Any) -> int:
        if isinstance(raw, bool) or not re.match(r"^\d{1,19}\Z", str(raw), re.ASCII) or int(raw) > BIGINT_MAX:
            raise refuse("incorrect_type", "Expected an id.")
        return int(raw)

    def schema(self) -> dict[str, Any]:
        return {"type": "integer"}


@dataclass(frozen=True)
class Json(Kind):
    """Any JSON value, read-only to filters."""

    name: ClassVar[str] = "json"
    operators: ClassVar[tuple[str, ...]] = ("is_empty",)

    def clean(self, raw: Any) -> Any:
        return checked_texts(raw)
