"""Dates and moments."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, ClassVar

from dateutil.parser import isoparse

from core.entities.kinds.base import DATED, Kind, refuse, trimmed

_ISO_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}\Z", re.ASCII)


@dataclass(frozen=True)
class Date(Kind):
    name: ClassVar[str] = "date"
    operators: ClassVar[tuple[str, ...]] = DATED

    def clean(self, raw: Any) -> date:
        if isinstance(raw, datetime):
            return raw.date()
        if isinstance(raw, date):
            return raw
        try:
            if not isinstance(raw, str) or not _ISO_DATE.match(trimmed(raw)):
                raise ValueError
            return date.fromisoformat(trimmed(raw))
        except ValueError:
            raise refuse("invalid", "Enter a date as YYYY-MM-DD.") from None

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "date"}

    def to_json(self, value: Any) -> Any:
        return value.isoformat() if isinstance(value, date) else value


@dataclass(frozen=True)
class DateTime(Kind):
    """A moment; without an offset UTC is meant, a bare date is its midnight."""

    name: ClassVar[str] = "datetime"
    json_sql: ClassVar[str] = """to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
    operators: ClassVar[tuple[str, ...]] = DATED

    def clean(self, raw: Any) -> datetime:
        if isinstance(raw, datetime):
            return raw if raw.tzinfo else raw.replace(tzinfo=UTC)
        if isinstance(raw, date):
            return datetime.combine(raw, time(), UTC)
        return self._parse(raw)

    @staticmethod
    def _parse(raw: Any) -> datetime:
        try:
            if not isinstance(raw, str) or not re.match(r"\d{4}-", raw.strip()):
                raise ValueError
            moment = isoparse(trimmed(raw).replace(" ", "T", 1))
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            raise refuse("invalid", "Enter a date and time as ISO 8601: 2030-01-31T09:00:00Z.") from None

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "date-time"}

    def to_json(self, value: Any) -> Any:
        return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
