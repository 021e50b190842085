"""The field type of an exchange rate."""

from typing import Any

from core.currencies.models import SMALLEST
from core.entities.field_types import Money
from core.models.money import RATE_DIGITS, RATE_PLACES


class RateOfExchange(Money):
    """A decimal above zero; shown as a string, without zeros at its end."""

    def __init__(self, **options: Any) -> None:
        super().__init__(RATE_DIGITS, RATE_PLACES, **{"min_value": SMALLEST, **options})

    def to_representation(self, value: Any) -> Any:
        return None if value is None else f"{value.normalize():f}"

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "decimal", "example": "1.0837"}
