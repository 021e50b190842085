"""Relative dates: `"today"`, `{"days": -7}`, and spans for "within the last …"."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from django.db import models
from django.db.models import Func, Value
from django.utils import timezone

from core.entities import field_types
from core.errors import ValueRefusedError

UNITS = ("minutes", "hours", "days", "weeks")
# A hundred years: anything further is a slip and would overflow dates.
LIMIT = timedelta(days=36_525)


@dataclass(frozen=True)
class RelativeDate:
    """A point in time told relative to now, resolved when the condition is compiled."""

    WORDS: ClassVar[dict[str, int]] = {"now": 0, "today": 0, "yesterday": -1, "tomorrow": 1}
    kind: field_types.FieldType
    offset: timedelta
    midnight: bool = False

    def resolve(self, zone: Any = None) -> Any:
        """The moment as the column's type: in the current time zone, or as SQL in the zone that `zone` (SQL)
        names for each row."""
        if zone is not None and (self.midnight or isinstance(self.kind, field_types.Date)):
            return self._expression(zone)
        moment = timezone.localtime() + self.offset
        if isinstance(self.kind, field_types.Date):
            return moment.date()
        return moment.replace(hour=0, minute=0, second=0, microsecond=0) if self.midnight else moment

    def _expression(self, zone: Any) -> Func:
        now = Value(timezone.now(), models.DateTimeField())
        shift = f"make_interval(secs => {self.offset.total_seconds():.0f})"
        if isinstance(self.kind, field_types.Date):
            day = f"(timezone(%(expressions)s) + {shift})::date"
            return Func(zone, now, template=day, output_field=models.DateField())
        midnight = Func(
            zone,
            now,
            template=f"date_trunc('day', timezone(%(expressions)s) + {shift})",
            output_field=models.DateTimeField(),
        )
        return Func(zone, midnight, function="timezone", output_field=models.DateTimeField())


@dataclass(frozen=True)
class TimeSpan:
    """A length of time before or after now."""

    length: timedelta


def relative_or_absolute(kind: field_types.FieldType, raw: Any) -> Any:
    """A RelativeDate for relative input, else the absolute value. Raises ValueRefusedError."""
    if isinstance(raw, str) and raw in RelativeDate.WORDS:
        return RelativeDate(kind, timedelta(days=RelativeDate.WORDS[raw]), midnight=raw != "now")
    if isinstance(raw, Mapping):
        return RelativeDate(kind, _delta(raw))
    return kind.to_internal_value(raw)


def time_span(raw: Any) -> TimeSpan:
    """The span in `{"days": 7}`. Raises ValueRefusedError."""
    length = _delta(raw) if isinstance(raw, Mapping) else None
    if length is None or length <= timedelta(0):
        raise ValueRefusedError('Expected a length such as {"days": 7}.', code="invalid")
    return TimeSpan(length)


def _delta(raw: Mapping[str, Any]) -> timedelta:
    numbers = all(isinstance(v, int) and not isinstance(v, bool) and abs(v) <= 10**6 for v in raw.values())
    if not raw or not numbers or set(raw) - set(UNITS):
        raise ValueRefusedError(f"Expected whole numbers under {', '.join(UNITS)}.", code="invalid")
    delta = timedelta(**raw)
    if abs(delta) > LIMIT:
        raise ValueRefusedError("That is more than a hundred years away.", code="invalid")
    return delta
