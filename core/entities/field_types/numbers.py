"""Booleans, integers, floats and amounts."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from django.utils.translation import gettext as _
from rest_framework import serializers

from core.entities.field_types.base import ORDERED, FieldType, refuse, trimmed


class Boolean(FieldType, serializers.BooleanField):
    type_name: ClassVar[str] = "boolean"
    operators: ClassVar[tuple[str, ...]] = ("eq", "ne", "is_empty")
    WORDS: ClassVar[dict[str, bool]] = {
        **dict.fromkeys(("true", "1", "yes", "y", "on", "t"), True),
        **dict.fromkeys(("false", "0", "no", "n", "off", "f"), False),
    }

    def to_internal_value(self, data: Any) -> bool:
        if isinstance(data, bool):
            return data
        word = str(data).strip().lower() if isinstance(data, str | int) else ""
        if word not in self.WORDS:
            raise refuse("invalid", _("Must be true or false."))
        return self.WORDS[word]

    def json_schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


_NUMBER = re.compile(r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?\Z", re.ASCII)


def _decimal(data: Any) -> Decimal:
    if isinstance(data, bool) or not isinstance(data, str | int | float | Decimal):
        raise refuse("invalid", _("A valid number is required."))
    text = trimmed(str(data))
    # Decimal itself takes NaN, Infinity and 1_000.
    if len(text) > 100 or not _NUMBER.match(text):
        raise refuse("invalid", _("A valid number is required."))
    try:
        return Decimal(text)
    except InvalidOperation:
        raise refuse("invalid", _("A valid number is required.")) from None


class _Bounded(FieldType):
    operators: ClassVar[tuple[str, ...]] = ORDERED
    min_value: Any
    max_value: Any

    def check_bounds(self, value: Any) -> Any:
        if self.min_value is not None and value < self.min_value:
            raise refuse(
                "min_value",
                _("Ensure this value is greater than or equal to %(min_value)s.")
                % {"min_value": self.min_value},
            )
        if self.max_value is not None and value > self.max_value:
            raise refuse(
                "max_value",
                _("Ensure this value is less than or equal to %(max_value)s.")
                % {"max_value": self.max_value},
            )
        return value

    def bounds(self) -> dict[str, Any]:
        pairs = (("minimum", self.min_value), ("maximum", self.max_value))
        return {
            key: float(value) if isinstance(value, Decimal) else value
            for key, value in pairs
            if value is not None
        }


class Integer(_Bounded, serializers.IntegerField):
    type_name: ClassVar[str] = "integer"

    def __init__(
        self, min_value: int | None = -(2**31), max_value: int | None = 2**31 - 1, **options: Any
    ) -> None:
        super().__init__(min_value=min_value, max_value=max_value, **options)

    def to_internal_value(self, data: Any) -> int:
        value = _decimal(data)
        self.check_bounds(value)
        if value != value.to_integral_value():
            raise refuse("invalid", _("A valid integer is required."))
        return int(value)

    def json_schema(self) -> dict[str, Any]:
        return {"type": "integer", **self.bounds()}


class Float(_Bounded, serializers.FloatField):
    type_name: ClassVar[str] = "float"

    def to_internal_value(self, data: Any) -> float:
        return self.check_bounds(float(_decimal(data)))

    def json_schema(self) -> dict[str, Any]:
        return {"type": "number", **self.bounds()}


class Money(_Bounded, serializers.DecimalField):
    """A decimal amount; shown as a string so that no client rounds it."""

    type_name: ClassVar[str] = "money"
    json_sql: ClassVar[str] = "({})::text"

    def __init__(self, max_digits: int = 15, decimal_places: int = 2, **options: Any) -> None:
        super().__init__(max_digits, decimal_places, **options)
        self._limit = Decimal(10) ** (max_digits - decimal_places)
        self._quantum = Decimal(1).scaleb(-decimal_places)

    def to_internal_value(self, data: Any) -> Decimal:
        value = _decimal(data)
        self.check_bounds(value)
        if abs(value) >= self._limit:
            raise refuse(
                "max_digits", _("Ensure this value is below %(limit)s.") % {"limit": f"{self._limit:f}"}
            )
        if value != value.quantize(self._quantum):
            message = _("Ensure there are no more than %(decimal_places)s decimal places.") % {
                "decimal_places": self.decimal_places
            }
            raise refuse("max_decimal_places", message)
        return value.quantize(self._quantum)

    def to_representation(self, value: Any) -> Any:
        return None if value is None else f"{value:f}"

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "decimal", "example": "1000.00"}


class Number(Money):
    """A custom number: a decimal without a currency, with up to six places.

    In JSON it is a number, of which programs keep no more digits than these; more are refused, not rounded.
    """

    type_name: ClassVar[str] = "number"
    json_sql: ClassVar[str] = "{}"
    DIGITS: ClassVar[int] = 15

    def __init__(self, max_digits: int = 15, decimal_places: int = 2, **options: Any) -> None:
        super().__init__(max_digits, decimal_places, **{"coerce_to_string": False, **options})

    def to_internal_value(self, data: Any) -> Decimal:
        value = super().to_internal_value(data)
        count = len(value.normalize().as_tuple().digits)
        if count > self.DIGITS:
            raise refuse(
                "max_digits",
                _("A number keeps %(digits)s digits; this one has %(count)s.")
                % {"digits": self.DIGITS, "count": count},
            )
        return value

    def to_representation(self, value: Any) -> Any:
        if value is None:
            return None
        return int(value) if value == value.to_integral_value() else float(value)

    def json_schema(self) -> dict[str, Any]:
        return {"type": "number"}
