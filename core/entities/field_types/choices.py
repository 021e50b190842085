"""Values of a closed set, and lists of values."""

from functools import lru_cache
from typing import Any, ClassVar

from django.utils.translation import gettext as _
from rest_framework import serializers

from core import labels
from core.entities.field_types.base import FieldType, refuse, trimmed
from core.entities.field_types.text import Text, checked_text
from core.models.folding import nfc


class Choice(FieldType, serializers.ChoiceField):
    """One of a closed set, written in any case and kept as defined."""

    type_name: ClassVar[str] = "choice"
    empty_value: ClassVar[Any] = ""
    operators: ClassVar[tuple[str, ...]] = ("eq", "ne", "in", "not_in", "is_empty")

    def __init__(self, choices: Any, *, ours: bool = True, **options: Any) -> None:
        """Choices that are not `ours` were defined by users: their words are not translated."""
        super().__init__(choices=choices, **options)
        self.ours = ours
        # Case-folded → as defined.
        self.folded: dict[str, str] = {nfc(choice).casefold(): choice for choice in self.choices}

    def to_internal_value(self, data: Any) -> str:
        text = trimmed(checked_text(data)) if isinstance(data, str) else None
        found = self.folded.get(text.casefold()) if text is not None else None
        if found is None and text != "":
            raise refuse(
                "invalid_choice",
                _("Not one of: %(names)s.") % {"names": ", ".join(c for c in self.choices if c)},
            )
        return found or ""

    def options(self) -> list[tuple[str, str]]:
        return [(value, self.title_of(value)) for value in self.choices if value]

    def title_of(self, value: str) -> str:
        """What people call a choice."""
        return labels.titled(value) if self.ours else labels.as_title(value)

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.choices)}


class MultiChoice(FieldType, serializers.MultipleChoiceField):
    """Several of a closed set (custom fields), without repetition."""

    type_name: ClassVar[str] = "multi_choice"
    operators: ClassVar[tuple[str, ...]] = ("has_any", "has_all", "has_none", "is_empty")

    def __init__(self, choices: Any, **options: Any) -> None:
        super().__init__(choices=choices, **options)
        self.one = Choice(choices)

    def to_internal_value(self, data: Any) -> list[str]:
        values = [self.one.to_internal_value(item) for item in _items(data)]
        return list(dict.fromkeys(value for value in values if value))

    def options(self) -> list[tuple[str, str]]:
        return [(value, value) for value in self.one.choices if value]

    def json_schema(self) -> dict[str, Any]:
        return {"type": "array", "items": self.one.json_schema()}


def _items(data: Any) -> list[Any]:
    if isinstance(data, list | tuple):
        return list(data)
    raise refuse("not_a_list", _("Expected a list of items."))


class TextList(FieldType, serializers.ListField):
    """A list of short texts without repetition: tags, further addresses."""

    type_name: ClassVar[str] = "text_list"
    operators: ClassVar[tuple[str, ...]] = ("has_any", "has_all", "has_none", "is_empty")
    child = Text(max_length=60)

    def __init__(self, max_length: int = 100, **options: Any) -> None:
        super().__init__(max_length=max_length, **options)
        self.limit = max_length
        self.is_regional = self.child.is_regional

    def to_internal_value(self, data: Any) -> list[str]:
        values = [self.child.to_internal_value(item) for item in _items(data)]
        if len(values) > self.limit:
            raise refuse(
                "max_length", _("Ensure there are no more than %(limit)s items.") % {"limit": self.limit}
            )
        found = list(dict.fromkeys(value for value in values if value))
        if not found and not self.allow_empty:
            raise refuse("empty", _("This list may not be empty."))
        return found

    def in_region(self, region: str) -> FieldType:
        return self if self.child.in_region(region) is self.child else _in_region(self, region)

    def warning(self, value: Any) -> str | None:
        found = (self.child.warning(item) for item in value or ())
        return next((message for message in found if message), None)

    def json_schema(self) -> dict[str, Any]:
        return {"type": "array", "items": self.child.json_schema(), "maxItems": self.limit}


@lru_cache(maxsize=2_000)
def _in_region(field_type: TextList, region: str) -> TextList:
    return field_type.copy(child=field_type.child.in_region(region))
