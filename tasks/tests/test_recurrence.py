"""Series: the right days, nine o'clock in every zone, and no rule that keeps a worker busy."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from core.errors import ValueRefusedError
from tasks.recurrence import checked, next_due


def moments(rule, start, zone, count=4):
    """The first `count` due moments, in UTC."""
    found = [start]
    while len(found) < count and (following := next_due(rule, start, found[-1], zone)):
        found.append(following)
    return [m.astimezone(UTC).isoformat() for m in found]


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "start", "hours"),
    [
        # Clocks go forward on Sunday 2030-03-31 in Berlin: 09:00 is 08:00 UTC before and 07:00 after.
        ("Europe/Berlin", "2030-03-29T08:00", [8, 8, 7, 7]),
        # And back on 2030-10-27.
        ("Europe/Berlin", "2030-10-26T07:00", [7, 8, 8, 8]),
        # In New York on 2030-03-10.
        ("America/New_York", "2030-03-09T14:00", [14, 13, 13, 13]),
        # South of the equator the other way round: back on 2030-04-07 in Sydney.
        ("Australia/Sydney", "2030-04-05T22:00", [22, 23, 23, 23]),
        # Half an hour off, and no change of clocks.
        ("Asia/Kolkata", "2030-03-30T03:30", [3, 3, 3, 3]),
    ],
)
def test_nine_oclock_stays_nine_oclock(zone, start, hours):
    found = [datetime.fromisoformat(text) for text in moments("FREQ=DAILY", utc(start), zone)]
    assert [moment.hour for moment in found] == hours
    local = [moment.astimezone(ZoneInfo(zone)) for moment in found]
    assert {f"{moment:%H:%M}" for moment in local} == {"09:00"}
    assert [(moment.date() - local[0].date()).days for moment in local] == [0, 1, 2, 3]


def test_an_hour_that_is_left_out_is_one_later_on_that_day_only():
    # 02:30 does not exist on 2030-03-31 in Berlin.
    start = utc("2030-03-30T01:30")
    assert moments("FREQ=DAILY", start, "Europe/Berlin", 3) == [
        "2030-03-30T01:30:00+00:00",
        "2030-03-31T01:30:00+00:00",
        "2030-04-01T00:30:00+00:00",
    ]


def test_an_hour_that_comes_twice_comes_once():
    # 02:30 is there twice on 2030-10-27 in Berlin.
    start = utc("2030-10-26T00:30")
    assert moments("FREQ=DAILY", start, "Europe/Berlin", 3) == [
        "2030-10-26T00:30:00+00:00",
        "2030-10-27T00:30:00+00:00",
        "2030-10-28T01:30:00+00:00",
    ]


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        ("FREQ=WEEKLY;BYDAY=MO,TH", ["07", "10", "14"]),
        ("FREQ=WEEKLY;INTERVAL=2", ["07", "21"]),
        ("FREQ=DAILY;COUNT=3", ["07", "08", "09"]),
        ("FREQ=DAILY;UNTIL=20300109", ["07", "08", "09"]),
        ("FREQ=DAILY;UNTIL=20300109T085959Z", ["07", "08"]),
        ("FREQ=DAILY;UNTIL=20300109T090000Z", ["07", "08", "09"]),
        ("FREQ=MONTHLY;BYDAY=2TU", ["07", "08"]),
        ("FREQ=MONTHLY;BYMONTHDAY=-1", ["07", "31"]),
    ],
)
def test_rules_name_their_days(rule, days):
    found = moments(checked(rule), utc("2030-01-07T09:00"), "UTC", 4)
    january = [text[8:10] for text in found if text.startswith("2030-01")]
    assert january[: len(days)] == days
    if "COUNT" in rule or "UNTIL" in rule:
        assert len(found) == len(days)


def test_until_with_a_z_is_a_moment_and_without_it_wall_clock_time():
    # 09:00 in Los Angeles is 17:00 UTC in winter.
    start = utc("2030-01-07T17:00")
    assert len(moments("FREQ=DAILY;UNTIL=20300108T120000Z", start, "America/Los_Angeles")) == 1
    assert len(moments("FREQ=DAILY;UNTIL=20300108T120000", start, "America/Los_Angeles")) == 2


def test_the_29th_of_february_is_waited_for():
    assert moments("FREQ=YEARLY", utc("2096-02-29T09:00"), "UTC", 2)[1].startswith("2104-02-29")


def test_a_postponed_task_goes_on_with_the_next_day_of_the_rule():
    first, postponed = utc("2030-01-07T09:00"), utc("2030-01-09T16:00")
    assert next_due("FREQ=WEEKLY;BYDAY=MO", first, postponed, "UTC") == utc("2030-01-14T09:00")


def test_a_rule_is_stored_bare_and_in_upper_case():
    assert checked(" rrule:freq=weekly;byday=mo; ") == "FREQ=WEEKLY;BYDAY=MO"


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;INTERVAL=-1",
        "FREQ=DAILY;INTERVAL=99999999999999999999",
        "FREQ=DAILY;COUNT=0",
        "FREQ=DAILY;COUNT=x",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=WEEKLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=HOURLY",
        "FREQ=SECONDLY;INTERVAL=1",
        "FREQ=DAILY;BYHOUR=1,2,3",
        "FREQ=DAILY;BYEASTER=0",
        "FREQ=DAILY;BYDAY=XX",
        "FREQ=DAILY;FREQ=WEEKLY",
        "FREQ=DAILY;UNTIL=tomorrow",
        "FREQ=DAILY\nFREQ=WEEKLY",
        "DTSTART:20300101T000000\nRRULE:FREQ=DAILY",
        "INTERVAL=2",
        "every day",
        ";;;",
        "FREQ",
        "FREQ=DAILY;BYMONTHDAY=" + ",".join(["1"] * 200) + ",x",
    ],
)
def test_rules_that_cannot_be_followed_are_refused_at_once(rule):
    with pytest.raises(ValueRefusedError):
        checked(rule)
