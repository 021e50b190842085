"""Field types that only automation has."""

from collections.abc import Mapping
from datetime import time, timedelta
from typing import Any, ClassVar

from django.utils.translation import gettext as _

from core.entities.field_types import FieldType, Integer, refuse
from core.workflows.schedule import WEEKDAYS, WorkingHours, zone

UNITS = ("seconds", "minutes", "hours", "days", "weeks")
# Three years: beyond it a wait is a slip.
LONGEST = timedelta(days=1_100)


class Duration(FieldType):
    """A length of time such as `{"days": -3, "hours": 2}`; negative only where before is meant."""

    type_name: ClassVar[str] = "span"

    def __init__(self, signed: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.signed = signed

    def to_internal_value(self, data: Any) -> timedelta:
        if not isinstance(data, Mapping) or not data or set(data) - set(UNITS):
            raise refuse("invalid", _("Expected numbers under %(names)s.") % {"names": ", ".join(UNITS)})
        low = None if self.signed else 0
        length = timedelta(
            **{unit: Integer(min_value=low, max_value=10**8).to_internal_value(n) for unit, n in data.items()}
        )
        if abs(length) > LONGEST:
            raise refuse("invalid", _("At most %(days)s days.") % {"days": LONGEST.days})
        return length


class ClockTime(FieldType):
    """A time of day as HH:MM."""

    type_name: ClassVar[str] = "time"

    def to_internal_value(self, data: Any) -> time:
        try:
            found = time.fromisoformat(data)
        except (TypeError, ValueError):
            raise refuse("invalid", _("Expected a time of day as HH:MM.")) from None
        return found.replace(second=0, microsecond=0, tzinfo=None)


class TimeZone(FieldType):
    """An IANA time zone."""

    type_name: ClassVar[str] = "time_zone"

    def to_internal_value(self, data: Any) -> str:
        return zone(data).key


class WorkingHoursField(FieldType):
    """Working hours: true for nine to five on weekdays in UTC, or
    `{"start": "09:00", "end": "17:00", "days": [1, 2], "time_zone": "Europe/Berlin"}`."""

    type_name: ClassVar[str] = "working_hours"

    def to_internal_value(self, data: Any) -> WorkingHours | None:
        if isinstance(data, bool):
            return WorkingHours() if data else None
        if not isinstance(data, Mapping) or set(data) - {"start", "end", "days", "time_zone"}:
            raise refuse("invalid", _("Expected true, or an object with start, end, days and time_zone."))
        start = ClockTime().to_internal_value(data.get("start", "09:00"))
        end = ClockTime().to_internal_value(data.get("end", "17:00"))
        if start >= end:
            raise refuse("invalid", _("Working hours end after they start."))
        return WorkingHours(
            start, end, _days(data.get("days", WEEKDAYS)), zone(data.get("time_zone", "UTC")).key
        )


def _days(raw: Any) -> tuple[int, ...]:
    if not isinstance(raw, list | tuple) or not raw or any(d not in range(1, 8) for d in raw):
        raise refuse("invalid", _("Expected weekdays from 1 (Monday) to 7."))
    return tuple(raw)


class TextOrList(FieldType):
    """One text or a list of texts; commas separate too."""

    type_name: ClassVar[str] = "texts"

    def __init__(self, maximum: int = 50, **options: Any) -> None:
        super().__init__(**options)
        self.maximum = maximum

    def to_internal_value(self, data: Any) -> list[str]:
        items = data.split(",") if isinstance(data, str) else data
        if not isinstance(items, list) or not all(isinstance(item, str | int) for item in items):
            raise refuse("invalid", _("Expected a text or a list of texts."))
        found = [str(item).strip() for item in items if str(item).strip()]
        if len(found) > self.maximum:
            raise refuse("invalid", _("At most %(maximum)s.") % {"maximum": self.maximum})
        return found


class UserIds(FieldType):
    """Ids of users."""

    type_name: ClassVar[str] = "ids"

    def to_internal_value(self, data: Any) -> list[int]:
        items = data if isinstance(data, list) else [data]
        return [Integer(min_value=1, max_value=2**63 - 1).to_internal_value(item) for item in items]
