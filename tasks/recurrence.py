"""Series of tasks: RRULE (RFC 5545) by python-dateutil, in the task's own zone."""

from datetime import datetime
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rrulestr

from core.errors import ValueRefusedError

# A day is the finest step a task has.
FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
FREQUENCY_NUMBERS = (0, 1, 2, 3)


def parse(text: str, start: datetime) -> rrule:
    """The rule in `text`, starting at the local time `start` (naive). Raises ValueRefusedError."""
    try:
        rule = rrulestr(text, dtstart=start)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        rule = None
    if not isinstance(rule, rrule) or rule._freq not in FREQUENCY_NUMBERS:
        allowed = ", ".join(FREQUENCIES)
        raise ValueRefusedError(f"Enter a rule such as FREQ=WEEKLY;BYDAY=MO; frequencies: {allowed}.")
    return rule


def checked(text: str) -> str:
    """The rule as it is stored: upper case, without its name. Raises ValueRefusedError."""
    rule = text.strip().upper().removeprefix("RRULE:")
    if "\n" in rule or "DTSTART" in rule:
        raise ValueRefusedError("One rule without DTSTART: the due date is the start.")
    parse(_local_until(rule), datetime(2030, 1, 1, 9))  # noqa: DTZ001 (a wall-clock time)
    return rule


def next_due(text: str, first: datetime, last: datetime, zone: str) -> datetime | None:
    """The moment after `last` in the series that began at `first`; None when it is over.

    Reckoned in wall-clock time of `zone`, so that nine o'clock stays nine o'clock over a change of clocks.
    """
    place = ZoneInfo(zone)
    rule = parse(_local_until(text), first.astimezone(place).replace(tzinfo=None))
    following = rule.after(last.astimezone(place).replace(tzinfo=None))
    return following.replace(tzinfo=place) if following else None


def _local_until(text: str) -> str:
    """UNTIL without its zone letter: everything is reckoned in local time here."""
    return ";".join(p.rstrip("Z") if p.startswith("UNTIL=") else p for p in text.split(";"))
