"""Series of tasks: RRULE (RFC 5545) by python-dateutil, in the task's own zone.

dateutil looks for an occurrence until the year 9999, and for ever with INTERVAL=0, so a rule is taken apart
here first and never followed further than a horizon.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta
from dateutil.rrule import rrule, rrulestr
from django.utils.translation import gettext

from core.errors import ValueRefusedError

# A day is the finest step a task has.
FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
PARTS = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTH", "BYMONTHDAY", "BYSETPOS", "WKST")
MAXIMUM = {"INTERVAL": 366, "COUNT": 9_999}
# The 29th of February may be eight years away.
HORIZON_YEARS = 8
LAST_YEAR = 9_999


@dataclass(frozen=True)
class RecurrenceRule:
    """A rule taken apart; `until` is a moment if it was written with a Z, else wall-clock time."""

    parts: tuple[tuple[str, str], ...]
    interval: int = 1
    count: int | None = None
    until: datetime | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueRefusedError."""
        parts = [part.partition("=") for part in text.split(";") if part]
        named = {name: value for name, _, value in parts}
        unknown = [name for name in named if name not in PARTS]
        if unknown or len(named) != len(parts):
            raise ValueRefusedError(gettext("Each once at most: %(names)s.") % {"names": ", ".join(PARTS)})
        if named.get("FREQ") not in FREQUENCIES:
            raise ValueRefusedError(
                gettext("FREQ is one of %(names)s: FREQ=WEEKLY;BYDAY=MO.") % {"names": ", ".join(FREQUENCIES)}
            )
        kept = tuple((n, v) for n, v in named.items() if n not in ("COUNT", "UNTIL"))
        return cls(kept, _whole(named, "INTERVAL") or 1, _whole(named, "COUNT"), _until(named.get("UNTIL")))

    def after(self, first: datetime, last: datetime, zone: ZoneInfo) -> datetime | None:
        """The occurrence after `last`, all in wall-clock time, of the series that began at `first`."""
        endless = self._endless(first, self._horizon(last))
        following = endless.after(last)
        if following is None or self._is_over(following, zone):
            return None
        if self.count and len(endless.between(first, following, inc=True)) > self.count:
            return None
        return following

    def _endless(self, first: datetime, until: datetime) -> rrule:
        text = ";".join(f"{name}={value}" for name, value in self.parts)
        try:
            return rrulestr(text, dtstart=first).replace(until=until)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError):
            raise ValueRefusedError(gettext("Enter a rule such as FREQ=WEEKLY;BYDAY=MO.")) from None

    def _horizon(self, last: datetime) -> datetime:
        years = min(HORIZON_YEARS * self.interval, LAST_YEAR - last.year)
        return last + relativedelta(years=max(years, 0))

    def _is_over(self, following: datetime, zone: ZoneInfo) -> bool:
        if self.until is None:
            return False
        moment = following.replace(tzinfo=zone) if self.until.tzinfo else following
        return moment > self.until


def _as_late_as_can_be(start: datetime, years: int) -> datetime:
    """The same day of a later cycle of the calendar, with `years` left behind it.

    The Gregorian calendar repeats every 400 years, weekdays too. dateutil looks for a day that never comes
    until the year 9999: from there it does not take seconds.
    """
    cycles = max(LAST_YEAR - years - start.year, 0) // 400
    return start.replace(year=start.year + 400 * cycles)


def checked(text: str, first: datetime | None = None) -> str:
    """The rule as it is stored: upper case, without its name. Raises ValueRefusedError.

    `first` (wall-clock time) is where the series begins; a rule that names no day after it is refused.
    """
    rule = text.strip().upper().removeprefix("RRULE:").rstrip(";")
    if "\n" in rule or "DTSTART" in rule:
        raise ValueRefusedError(gettext("One rule without DTSTART: the due date is the start."))
    start = first or datetime(2030, 1, 1, 9)  # noqa: DTZ001  (a wall-clock time)
    parsed = RecurrenceRule.parse(rule)
    late = _as_late_as_can_be(start, HORIZON_YEARS * parsed.interval)
    if parsed._endless(late, parsed._horizon(late)).after(late, inc=True) is None:
        raise ValueRefusedError(gettext("No day fits this rule."))
    return rule


def next_due(text: str, first: datetime, last: datetime, zone: str) -> datetime | None:
    """The moment after `last` in the series that began at `first`; None when it is over.

    Reckoned in wall-clock time of `zone`, so that nine o'clock stays nine o'clock over a change of clocks.
    """
    place = ZoneInfo(zone)
    following = RecurrenceRule.parse(text).after(wall_time(first, place), wall_time(last, place), place)
    return following.replace(tzinfo=place) if following else None


def rest_of(text: str, first: datetime, occurrence: datetime, start: datetime, zone: str) -> str:
    """The rule of a series that begins at `start` in the place of `occurrence`, which is one of the series
    that began at `first`: of a COUNT what is left of it.

    Raises ValueRefusedError where `start` is no day of the rule.
    """
    place = ZoneInfo(zone)
    rule, began = RecurrenceRule.parse(text), wall_time(start, place)
    if rule._endless(began, rule._horizon(began)).after(began, inc=True) != began:
        raise ValueRefusedError(
            gettext("%(text)s does not come on the new date: give the rule that does.") % {"text": text}
        )
    if rule.count is None:
        return text
    last = wall_time(occurrence, place)
    passed = (
        len(rule._endless(wall_time(first, place), last).between(wall_time(first, place), last, inc=True)) - 1
    )
    return re.sub(r"COUNT=\d+", f"COUNT={rule.count - max(passed, 0)}", text)


def wall_time(moment: datetime, place: ZoneInfo) -> datetime:
    """What clocks at `place` show. Raises ValueRefusedError at the very ends of the calendar."""
    try:
        return moment.astimezone(place).replace(tzinfo=None)
    except OverflowError:
        raise ValueRefusedError(gettext("A series cannot begin at the end of the calendar.")) from None


def _whole(named: dict[str, str], name: str) -> int | None:
    text = named.get(name)
    if text is None:
        return None
    maximum = MAXIMUM[name]
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or not 1 <= int(text) <= maximum:
        raise ValueRefusedError(
            gettext("%(name)s is a whole number from 1 to %(maximum)s.") % {"name": name, "maximum": maximum}
        )
    return int(text)


def _until(text: str | None) -> datetime | None:
    """A date means the end of that day."""
    if text is None:
        return None
    for pattern, zone in (("%Y%m%dT%H%M%SZ", UTC), ("%Y%m%dT%H%M%S", None), ("%Y%m%d", None)):
        try:
            found = datetime.strptime(text, pattern).replace(tzinfo=zone)
        except ValueError:
            continue
        return found if "T" in text else found.replace(hour=23, minute=59, second=59)
    raise ValueRefusedError(gettext("UNTIL is a date or a moment: 20301231 or 20301231T235959Z."))
