"""Days, weeks, months and quarters, and rows of them. A period is named by its first day."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta
from django.db.models import TextChoices
from django.utils.translation import gettext, gettext_lazy

from core.errors import InvalidError

MOST_PERIODS = 400


class Unit(TextChoices):
    """How long a period is; weeks begin on Monday."""

    DAY = "day", gettext_lazy("Day")
    WEEK = "week", gettext_lazy("Week")
    MONTH = "month", gettext_lazy("Month")
    QUARTER = "quarter", gettext_lazy("Quarter")


STEPS = {
    Unit.DAY: relativedelta(days=1),
    Unit.WEEK: relativedelta(weeks=1),
    Unit.MONTH: relativedelta(months=1),
    Unit.QUARTER: relativedelta(months=3),
}


def first_day(day: date, unit: str) -> date:
    """The first day of the period that a day is in."""
    if unit == Unit.WEEK:
        return day - timedelta(days=day.weekday())
    if unit == Unit.MONTH:
        return day.replace(day=1)
    if unit == Unit.QUARTER:
        return day.replace(month=day.month - (day.month - 1) % 3, day=1)
    return day


def next_first_day(day: date, unit: str) -> date:
    """The first day of the next period."""
    return first_day(day, unit) + STEPS[Unit(unit)]


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The moment at which a day begins where `zone` is."""
    return datetime.combine(day, time.min, zone)


@dataclass(frozen=True)
class DateRange:
    """The days from `start` to `end`, both of them included."""

    start: date
    end: date

    @property
    def after(self) -> date:
        """The first day behind it."""
        return self.end + timedelta(days=1)

    def moments(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Its first moment, and the first one behind it."""
        return midnight(self.start, zone), midnight(self.after, zone)


@dataclass(frozen=True)
class PeriodSeries:
    """The whole periods that the days of a range fall in. Raises InvalidError where they are too many."""

    asked: DateRange
    unit: str

    @cached_property
    def days(self) -> list[date]:
        """The first day of each."""
        found = list(self._days())
        if len(found) > MOST_PERIODS:
            message = gettext("At most %(most_periods)s periods; ask for fewer days or longer periods.") % {
                "most_periods": MOST_PERIODS
            }
            raise InvalidError.of("period", message, "too_many")
        return found

    def _days(self) -> Iterator[date]:
        day = first_day(self.asked.start, self.unit)
        for _ in range(MOST_PERIODS + 1):
            if day > self.asked.end:
                return
            yield day
            day = next_first_day(day, self.unit)

    @cached_property
    def range(self) -> DateRange:
        """From the first day of the first to the last of the last."""
        return DateRange(self.days[0], next_first_day(self.days[-1], self.unit) - timedelta(days=1))

    @cached_property
    def before(self) -> DateRange:
        """The days of as many periods before these."""
        back = STEPS[Unit(self.unit)] * len(self.days)
        return DateRange(self.days[0] - back, self.days[0] - timedelta(days=1))


def check_years(day: date, name: str) -> None:
    """Raises InvalidError for a date near the ends of the calendar, which no period reaches beyond."""
    if not 1900 <= day.year < MAXYEAR - 100:
        raise InvalidError.of(
            name,
            gettext("Expected a year from 1900 to %(value)s.") % {"value": MAXYEAR - 101},
            "out_of_range",
        )
