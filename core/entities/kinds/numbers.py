"""Booleans, integers, floats and amounts."""

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from core.entities.kinds.base import ORDERED, Kind, refuse, trimmed


@dataclass(frozen=True)
class Boolean(Kind):
    name: ClassVar[str] = "boolean"
    operators: ClassVar[tuple[str, ...]] = ("eq", "ne", "is_empty")
    WORDS: ClassVar[dict[str, bool]] = {
        **dict.fromkeys(("true", "1", "yes", "y", "on", "t"), True),
        **dict.fromkeys(("false", "0", "no", "n", "off", "f"), False),
    }

    def clean(self, raw: Any) -> bool:
        if isinstance(raw, bool):
            return raw
        word = str(raw).strip().lower() if isinstance(raw, str | int) else ""
        if word not in self.WORDS:
            raise refuse("invalid", "Must be true or false.")
        return self.WORDS[word]

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


_NUMBER = re.compile(r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?\Z", re.ASCII)


def _decimal(raw: Any) -> Decimal:
    if isinstance(raw, bool) or not isinstance(raw, str | int | float | Decimal):
        raise refuse("invalid", "A valid number is required.")
    text = trimmed(str(raw))
    # Decimal itself takes NaN, Infinity and 1_000.
    if len(text) > 100 or not _NUMBER.match(text):
        raise refuse("invalid", "A valid number is required.")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise refuse("invalid", "A valid number is required.") from None


@dataclass(frozen=True)
class _Bounded(Kind):
    minimum: Any = None
    maximum: Any = None
    operators: ClassVar[tuple[str, ...]] = ORDERED

    def check_bounds(self, value: Any) -> Any:
        if self.minimum is not None and value < self.minimum:
            raise refuse("min_value", f"Ensure this value is greater than or equal to {self.minimum}.")
        if self.maximum is not None and value > self.maximum:
            raise refuse("max_value", f"Ensure this value is less than or equal to {self.maximum}.")
        return value

    def bounds(self) -> dict[str, Any]:
        pairs = (("minimum", self.minimum), ("maximum", self.maximum))
        return {
            key: float(value) if isinstance(value, Decimal) else value
            for key, value in pairs
            if value is not None
        }


@dataclass(frozen=True)
class Integer(_Bounded):
    name: ClassVar[str] = "integer"
    minimum: Any = -(2**31)
    maximum: Any = 2**31 - 1

    def clean(self, raw: Any) -> int:
        value = _decimal(raw)
        self.check_bounds(value)
        if value != value.to_integral_value():
            raise refuse("invalid", "A valid integer is required.")
        return int(value)

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", **self.bounds()}


@dataclass(frozen=True)
class Float(_Bounded):
    name: ClassVar[str] = "float"

    def clean(self, raw: Any) -> float:
        return self.check_bounds(float(_decimal(raw)))

    def schema(self) -> dict[str, Any]:
        return {"type": "number", **self.bounds()}


@dataclass(frozen=True)
class Money(_Bounded):
    """A decimal amount; shown as a string so that no client rounds it."""

    name: ClassVar[str] = "money"
    json_sql: ClassVar[str] = "({})::text"
    max_digits: int = 15
    places: int = 2

    def clean(self, raw: Any) -> Decimal:
        value = _decimal(raw)
        self.check_bounds(value)
        whole = Decimal(10) ** (self.max_digits - self.places)
        if abs(value) >= whole:
            raise refuse("max_digits", f"Ensure this value is below {whole:f}.")
        quantum = Decimal(1).scaleb(-self.places)
        if value != value.quantize(quantum):
            raise refuse("max_decimal_places", f"Ensure there are no more than {self.places} decimal places.")
        return value.quantize(quantum)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "decimal", "example": "1000.00"}

    def to_json(self, value: Any) -> Any:
        return None if value is None else f"{value:f}"


class Number(Money):
    """A custom number: a decimal without a currency, with up to six places."""

    name: ClassVar[str] = "number"
    json_sql: ClassVar[str] = "{}"

    def schema(self) -> dict[str, Any]:
        return {"type": "number"}

    def to_json(self, value: Any) -> Any:
        if value is None:
            return None
        return int(value) if value == value.to_integral_value() else float(value)
