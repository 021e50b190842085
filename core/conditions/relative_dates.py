"""Relative dates: `"today"`, `{"days": -7}`, whole days, and spans for "within the last …".

They are resolved in Django's current time zone (`in_zone_of` makes it a user's) or by SQL in each row's zone.
"""

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db import models
from django.db.models import Func, Value
from django.utils import timezone
from django.utils.translation import gettext as _

from core.entities import field_types
from core.errors import ValueRefusedError

UNITS = ("minutes", "hours", "days", "weeks")
# A hundred years: anything further is a slip and would overflow dates.
LIMIT = timedelta(days=36_525)


EARLIEST, LATEST = (end.replace(tzinfo=UTC) for end in (datetime.min, datetime.max))  # noqa: DTZ901
# Days that have a name, as days from today.
DAYS = {"today": 0, "yesterday": -1, "tomorrow": 1}
_ISO_DATE = re.compile(r"\s*\d{4}-\d{2}-\d{2}\s*\Z", re.ASCII)


def in_zone_of(user: Any) -> AbstractContextManager[None]:
    """Inside, "today" and whole days are those of the user; the current zone's for the system (None)."""
    zone = getattr(user, "zone", None)
    return nullcontext() if zone is None else timezone.override(zone)


@dataclass(frozen=True)
class RelativeDate:
    """A point in time relative to now, resolved when the condition is compiled."""

    field_type: field_types.FieldType
    offset: timedelta

    def resolve(self, zone: Any = None) -> Any:
        """The point in time as the column's type: in the current time zone, or as SQL in the zone that `zone`
        (SQL) names for each row."""
        if zone is not None and isinstance(self.field_type, field_types.Date):
            return _today(zone, self.offset)
        moment = timezone.localtime() + self.offset
        return moment.date() if isinstance(self.field_type, field_types.Date) else moment


@dataclass(frozen=True)
class WholeDay:
    """A day, given or counted from today, that times are compared with: from midnight to midnight."""

    day: date | None = None
    from_today: int = 0

    def bounds(self, zone: Any = None) -> tuple[Any, Any]:
        """Its first moment and that of the next day, as `RelativeDate.resolve` gives them."""
        if zone is not None:
            day_there = Value(self.day, models.DateField()) if self.day else _today(zone)
            first = _midnight_there(zone, day_there, self.from_today)
            return first, _midnight_there(zone, day_there, self.from_today + 1)
        day = self.day or timezone.localdate() + timedelta(days=self.from_today)
        return _midnight(day, EARLIEST), _midnight(day, LATEST, days=1)


def _midnight(day: date, at_the_end: datetime, days: int = 0) -> datetime:
    """The midnight that begins a day, in UTC; what lies beyond the ends of time is that end."""
    try:
        local = datetime.combine(day + timedelta(days=days), time(), timezone.get_current_timezone())
        return local.astimezone(UTC)
    except OverflowError:
        return at_the_end


def _today(zone: Any, offset: timedelta = timedelta(0)) -> Func:
    """SQL of the day it is in `zone`, or will be or was so long from now."""
    now = Value(timezone.now(), models.DateTimeField())
    shift = f"make_interval(secs => {offset.total_seconds():.0f})"
    template = f"(timezone(%(expressions)s) + {shift})::date"
    return Func(zone, now, template=template, output_field=models.DateField())


def _midnight_there(zone: Any, day: Any, days: int) -> Func:
    """SQL of the midnight in `zone` that begins the day so many days after `day`."""
    template = f"((%(expressions)s)::timestamp + make_interval(days => {days}))"
    local = Func(day, template=template, output_field=models.DateTimeField())
    return Func(zone, local, function="timezone", output_field=models.DateTimeField())


@dataclass(frozen=True)
class TimeSpan:
    """A length of time before or after now."""

    length: timedelta


def relative_or_absolute(field_type: field_types.FieldType, raw: Any) -> Any:
    """A RelativeDate or WholeDay for what is relative or a mere date, else the absolute value. Raises
    ValueRefusedError."""
    if isinstance(raw, Mapping):
        return RelativeDate(field_type, _delta(raw))
    if raw == "now":
        return RelativeDate(field_type, timedelta(0))
    if isinstance(raw, str) and raw in DAYS:
        return _named_day(field_type, DAYS[raw])
    value = field_type.to_internal_value(raw)
    is_day = isinstance(field_type, field_types.DateTime) and isinstance(raw, str) and _ISO_DATE.match(raw)
    return WholeDay(value.date() if isinstance(value, datetime) else value) if is_day else value


def _named_day(field_type: field_types.FieldType, days: int) -> RelativeDate | WholeDay:
    if isinstance(field_type, field_types.Date):
        return RelativeDate(field_type, timedelta(days=days))
    return WholeDay(from_today=days)


def time_span(raw: Any) -> TimeSpan:
    """The span in `{"days": 7}`. Raises ValueRefusedError."""
    length = _delta(raw) if isinstance(raw, Mapping) else None
    if length is None or length <= timedelta(0):
        raise ValueRefusedError(_('Expected a length such as {"days": 7}.'), code="invalid")
    return TimeSpan(length)


def _delta(raw: Mapping[str, Any]) -> timedelta:
    numbers = all(isinstance(v, int) and not isinstance(v, bool) and abs(v) <= 10**6 for v in raw.values())
    if not raw or not numbers or set(raw) - set(UNITS):
        raise ValueRefusedError(
            _("Expected whole numbers under %(names)s.") % {"names": ", ".join(UNITS)}, code="invalid"
        )
    delta = timedelta(**raw)
    if abs(delta) > LIMIT:
        raise ValueRefusedError(_("That is more than a hundred years away."), code="invalid")
    return delta
