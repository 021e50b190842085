"""Values of a closed set, and lists of values."""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from core.entities.kinds.base import Kind, refuse, trimmed
from core.entities.kinds.text import Text, checked_text

SHORT_TEXT = Text(max_length=60)


@dataclass(frozen=True)
class Choice(Kind):
    """One of a closed set, written in any case and kept as defined."""

    name: ClassVar[str] = "choice"
    empty: ClassVar[Any] = ""
    operators: ClassVar[tuple[str, ...]] = ("eq", "ne", "in", "not_in", "is_empty")
    choices: tuple[str, ...] = ()
    folded: dict[str, str] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.folded.update({choice.casefold(): choice for choice in self.choices})

    def clean(self, raw: Any) -> str:
        text = trimmed(checked_text(raw)) if isinstance(raw, str) else None
        found = self.folded.get(text.casefold()) if text is not None else None
        if found is None and text != "":
            raise refuse("invalid_choice", f"Not one of: {', '.join(c for c in self.choices if c)}.")
        return found or ""

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.choices)}


@dataclass(frozen=True)
class MultiChoice(Kind):
    """Several of a closed set (custom fields); a string is split at commas and semicolons."""

    name: ClassVar[str] = "multi_choice"
    operators: ClassVar[tuple[str, ...]] = ("has_any", "has_all", "has_none", "is_empty")
    choices: tuple[str, ...] = ()

    def clean(self, raw: Any) -> list[str]:
        one = Choice(choices=self.choices)
        values = [one.clean(item) for item in _items(raw)]
        return list(dict.fromkeys(value for value in values if value))

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "string", "enum": list(self.choices)}}


def _items(raw: Any) -> list[Any]:
    if isinstance(raw, list | tuple):
        return list(raw)
    raise refuse("not_a_list", "Expected a list of items.")


@dataclass(frozen=True)
class TextList(Kind):
    """A list of short texts without repetition: tags, further addresses."""

    name: ClassVar[str] = "text_list"
    operators: ClassVar[tuple[str, ...]] = ("has_any", "has_all", "has_none", "is_empty")
    item: Kind = SHORT_TEXT
    max_items: int = 100

    def clean(self, raw: Any) -> list[str]:
        values = [self.item.clean(item) for item in _items(raw)]
        if len(values) > self.max_items:
            raise refuse("max_length", f"Ensure there are no more than {self.max_items} items.")
        return list(dict.fromkeys(value for value in values if value))

    def in_region(self, region: str) -> Kind:
        return replace(self, item=self.item.in_region(region))

    def warning(self, value: Any) -> str | None:
        found = (self.item.warning(item) for item in value or ())
        return next((message for message in found if message), None)

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": self.item.schema(), "maxItems": self.max_items}
