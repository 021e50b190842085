"""Cron expressions in a time zone, safe where clocks are put forward and back; and working hours.

Daylight saving as Debian's cron has it (cronsim): a fixed time that falls into the hour that is skipped runs
right after it, one in the hour that comes twice runs once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from django.utils.translation import gettext as _

from core.errors import ValueRefusedError

CATCH_UP = ("skip", "one", "all")
# Ticks that one look back makes at most: a schedule that was down for a year does not flood.
MAX_CAUGHT_UP = 1_000
WEEKDAYS = (1, 2, 3, 4, 5)


def zone(name: str) -> ZoneInfo:
    """The zone of an IANA name. Raises ValueRefusedError."""
    if not isinstance(name, str) or name not in available_timezones():
        raise ValueRefusedError(
            _("%(name)s is not an IANA time zone such as Europe/Berlin.") % {"name": repr(str(name)[:60])}
        )
    return ZoneInfo(name)


@dataclass(frozen=True)
class Schedule:
    """A five-field cron expression in a zone."""

    cron: str
    time_zone: str = "UTC"

    def check(self) -> None:
        """Raises ValueRefusedError for an expression that cannot be read or never comes."""
        if len(str(self.cron).split()) != 5 or len(self.cron) > 200:
            raise ValueRefusedError(_("Expected five cron fields: minute hour day month weekday."))
        try:
            self.next_after(datetime.now(UTC))
        except (CronSimError, StopIteration) as error:
            raise ValueRefusedError(
                _("Not a cron expression that ever comes: %(error)s.") % {"error": error}
            ) from error

    def next_after(self, moment: datetime) -> datetime:
        """The first tick strictly after `moment`, in UTC."""
        return next(self._ticks(moment))

    def missed(self, since: datetime, now: datetime, catch_up: str = "one") -> list[datetime]:
        """The ticks after `since` and up to `now` that are to be run, oldest first.

        One tick is always run. Of several, as after a downtime: "all" runs each (the last MAX_CAUGHT_UP),
        "one" the newest, "skip" the newest only if it is less than a minute old.
        """
        found: list[datetime] = []
        for tick in self._ticks(since):
            if tick > now:
                break
            found.append(tick)
        if catch_up == "all":
            return found[-MAX_CAUGHT_UP:]
        newest = found[-1:]
        if catch_up == "skip" and newest and now - newest[0] > timedelta(minutes=1):
            return []
        return newest

    def _ticks(self, after: datetime) -> Iterator[datetime]:
        local = after.astimezone(zone(self.time_zone))
        last = None
        for tick in CronSim(self.cron, local):
            moment = tick.astimezone(UTC)
            # In the repeated hour the iterator may stand on the start itself.
            if moment <= after or moment == last:
                continue
            last = moment
            yield moment


@dataclass(frozen=True)
class WorkingHours:
    """When people are at work: from `start` to `end` on `days` (ISO weekdays, Monday is 1), in a zone."""

    start: time = time(9)
    end: time = time(17)
    days: tuple[int, ...] = WEEKDAYS
    time_zone: str = "UTC"

    def next_open(self, moment: datetime) -> datetime:
        """`moment` itself when people are at work then, else when they next start. In UTC."""
        local = moment.astimezone(zone(self.time_zone))
        day = local.date()
        if local.isoweekday() in self.days and local.time() < self.end:
            return max(moment, self._at(day, self.start)).astimezone(UTC)
        day += timedelta(days=1)
        while day.isoweekday() not in self.days:
            day += timedelta(days=1)
        return self._at(day, self.start).astimezone(UTC)

    def _at(self, day: date, at: time) -> datetime:
        return datetime.combine(day, at, zone(self.time_zone))


def add_business_days(start: date, days: int, working: tuple[int, ...] = WEEKDAYS) -> date:
    """The date `days` working days after `start` (before it when negative); 0 gives `start` itself."""
    step = timedelta(days=1 if days > 0 else -1)
    day, left = start, abs(days)
    while left:
        day += step
        left -= day.isoweekday() in working
    return day
