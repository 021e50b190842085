"""Dates and moments."""

import re
from datetime import UTC, date, datetime, time
from typing import Any, ClassVar

from dateutil.parser import isoparse
from django.utils.translation import gettext as _
from rest_framework import serializers

from core.entities.field_types.base import DATED, FieldType, refuse, trimmed

_ISO_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}\Z", re.ASCII)


class Date(FieldType, serializers.DateField):
    type_name: ClassVar[str] = "date"
    operators: ClassVar[tuple[str, ...]] = DATED

    def to_internal_value(self, data: Any) -> date:
        if isinstance(data, datetime):
            return data.date()
        if isinstance(data, date):
            return data
        try:
            if not isinstance(data, str) or not _ISO_DATE.match(trimmed(data)):
                raise ValueError
            return date.fromisoformat(trimmed(data))
        except ValueError:
            raise refuse("invalid", _("Enter a date as YYYY-MM-DD.")) from None

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "date"}

    def to_representation(self, value: Any) -> Any:
        return value.isoformat() if isinstance(value, date) else value


class DateTime(FieldType, serializers.DateTimeField):
    """A moment; without an offset UTC is meant, a bare date is its midnight."""

    type_name: ClassVar[str] = "datetime"
    json_sql: ClassVar[str] = """to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
    operators: ClassVar[tuple[str, ...]] = DATED
    # Whether a date alone stands for that whole day, and is left to the entity's rules.
    takes_days: ClassVar[bool] = False

    def to_internal_value(self, data: Any) -> datetime:
        if isinstance(data, datetime):
            return data if data.tzinfo else data.replace(tzinfo=UTC)
        if isinstance(data, date):
            return datetime.combine(data, time(), UTC)
        return self._parse(data)

    @staticmethod
    def _parse(raw: Any) -> datetime:
        try:
            if not isinstance(raw, str) or not re.match(r"\d{4}-", raw.strip()):
                raise ValueError
            moment = isoparse(trimmed(raw).replace(" ", "T", 1))
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            raise refuse("invalid", _("Enter a date and time as ISO 8601: 2030-01-31T09:00:00Z.")) from None

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "date-time"}

    def to_representation(self, value: Any) -> Any:
        return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
