"""Kinds of values that only automation has."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time, timedelta
from typing import Any, ClassVar

from core.entities.kinds import Integer, Kind
from core.errors import ValueRefusedError
from core.workflows.schedule import WEEKDAYS, WorkingHours, zone

UNITS = ("seconds", "minutes", "hours", "days", "weeks")
# Three years: beyond it a wait is a slip.
LONGEST = timedelta(days=1_100)


@dataclass(frozen=True)
class Span(Kind):
    """A length of time such as `{"days": -3, "hours": 2}`; negative only where before is meant."""

    name: ClassVar[str] = "span"
    signed: bool = False

    def clean(self, raw: Any) -> timedelta:
        if not isinstance(raw, Mapping) or not raw or set(raw) - set(UNITS):
            raise ValueRefusedError(f"Expected numbers under {', '.join(UNITS)}.")
        low = None if self.signed else 0
        length = timedelta(**{unit: Integer(minimum=low, maximum=10**8).clean(n) for unit, n in raw.items()})
        if abs(length) > LONGEST:
            raise ValueRefusedError(f"At most {LONGEST.days} days.")
        return length


@dataclass(frozen=True)
class ClockTime(Kind):
    """A time of day as HH:MM."""

    name: ClassVar[str] = "time"

    def clean(self, raw: Any) -> time:
        try:
            found = time.fromisoformat(raw)
        except (TypeError, ValueError):
            raise ValueRefusedError("Expected a time of day as HH:MM.") from None
        return found.replace(second=0, microsecond=0, tzinfo=None)


@dataclass(frozen=True)
class ZoneName(Kind):
    """An IANA time zone."""

    name: ClassVar[str] = "time_zone"

    def clean(self, raw: Any) -> str:
        return zone(raw).key


@dataclass(frozen=True)
class Hours(Kind):
    """Working hours: true for nine to five on weekdays in UTC, or
    `{"start": "09:00", "end": "17:00", "days": [1, 2], "time_zone": "Europe/Berlin"}`."""

    name: ClassVar[str] = "working_hours"

    def clean(self, raw: Any) -> WorkingHours | None:
        if isinstance(raw, bool):
            return WorkingHours() if raw else None
        if not isinstance(raw, Mapping) or set(raw) - {"start", "end", "days", "time_zone"}:
            raise ValueRefusedError("Expected true, or an object with start, end, days and time_zone.")
        start = ClockTime().clean(raw.get("start", "09:00"))
        end = ClockTime().clean(raw.get("end", "17:00"))
        if start >= end:
            raise ValueRefusedError("Working hours end after they start.")
        return WorkingHours(
            start, end, _days(raw.get("days", WEEKDAYS)), zone(raw.get("time_zone", "UTC")).key
        )


def _days(raw: Any) -> tuple[int, ...]:
    if not isinstance(raw, list | tuple) or not raw or any(d not in range(1, 8) for d in raw):
        raise ValueRefusedError("Expected weekdays from 1 (Monday) to 7.")
    return tuple(raw)


@dataclass(frozen=True)
class Words(Kind):
    """One text or a list of texts; commas separate too."""

    name: ClassVar[str] = "texts"
    maximum: int = 50

    def clean(self, raw: Any) -> list[str]:
        items = raw.split(",") if isinstance(raw, str) else raw
        if not isinstance(items, list) or not all(isinstance(item, str | int) for item in items):
            raise ValueRefusedError("Expected a text or a list of texts.")
        found = [str(item).strip() for item in items if str(item).strip()]
        if len(found) > self.maximum:
            raise ValueRefusedError(f"At most {self.maximum}.")
        return found


@dataclass(frozen=True)
class Ids(Kind):
    """Ids of users."""

    name: ClassVar[str] = "ids"

    def clean(self, raw: Any) -> list[int]:
        items = raw if isinstance(raw, list) else [raw]
        return [Integer(minimum=1, maximum=2**63 - 1).clean(item) for item in items]
