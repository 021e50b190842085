"""Ticks of a cron in a zone, where clocks change and after downtimes; working hours."""

from datetime import UTC, date, datetime, time, timedelta

import pytest

from core.errors import ValueRefusedError
from core.workflows.schedule import Schedule, WorkingHours, add_business_days


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def ticks(cron, zone, start, count):
    found, moment = [], utc(start)
    for _ in range(count):
        moment = Schedule(cron, zone).next_after(moment)
        found.append(moment.strftime("%m-%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("cron", "zone", "start", "expected"),
    [
        ("0 9 * * *", "UTC", "2026-03-28T09:00", ["03-29 09:00", "03-30 09:00"]),
        # Nine o'clock in Berlin stays nine o'clock in Berlin.
        ("0 9 * * *", "Europe/Berlin", "2026-03-27T12:00", ["03-28 08:00", "03-29 07:00"]),
        # 02:30 does not exist on 29 March: once, right after the gap.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T02:00", ["03-29 01:00", "03-30 00:30"]),
        # 02:30 comes twice on 25 October: once.
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T01:00", ["10-25 00:30", "10-26 01:30"]),
        ("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00", ["10-25 00:30", "10-25 01:00", "10-25 01:30"]),
        ("0 2 * * 1", "America/New_York", "2026-03-05T00:00", ["03-09 06:00", "03-16 06:00"]),
        ("0 8 29 2 *", "UTC", "2026-01-01T00:00", ["02-29 08:00"]),
        ("0 3 L * *", "UTC", "2026-02-01T00:00", ["02-28 03:00", "03-31 03:00"]),
    ],
)
def test_each_tick_comes_once_where_clocks_change(cron, zone, start, expected):
    assert ticks(cron, zone, start, len(expected)) == expected


@pytest.mark.parametrize(
    ("policy", "expected"), [("all", ["10:00", "11:00", "12:00"]), ("one", ["12:00"]), ("skip", [])]
)
def test_after_a_downtime_of_three_ticks_the_policy_decides(policy, expected):
    missed = Schedule("0 * * * *").missed(utc("2026-05-01T09:30"), utc("2026-05-01T12:30"), policy)
    assert [m.strftime("%H:%M") for m in missed] == expected


@pytest.mark.parametrize("policy", ["skip", "one", "all"])
def test_a_tick_in_time_is_run_under_every_policy(policy):
    schedule = Schedule("0 * * * *")
    assert schedule.missed(utc("2026-05-01T11:30"), utc("2026-05-01T12:00:20"), policy) == [
        utc("2026-05-01T12:00")
    ]
    assert schedule.missed(utc("2026-05-01T12:00"), utc("2026-05-01T12:00:20"), policy) == []


def test_catching_up_on_a_year_of_minutes_is_bounded():
    assert len(Schedule("* * * * *").missed(utc("2026-01-01T00:00"), utc("2026-01-03T00:00"), "all")) == 1_000


@pytest.mark.parametrize(
    "cron", ["", "* * * *", "61 * * * *", "* * * * * *", "0 0 31 2 *", "a b c d e", "* " * 300]
)
def test_what_is_no_cron_or_never_comes_is_refused(cron):
    with pytest.raises(ValueRefusedError):
        Schedule(cron).check()


def test_a_zone_must_be_one():
    with pytest.raises(ValueRefusedError):
        Schedule("0 9 * * *", "Europe/Atlantis").check()


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-20T10:00", "2026-11-20T10:00"),  # a Friday at work
        ("2026-11-20T05:00", "2026-11-20T08:00"),  # early: nine in Berlin
        ("2026-11-20T16:00", "2026-11-23T08:00"),  # five in Berlin is the end: Monday
        ("2026-11-21T10:00", "2026-11-23T08:00"),  # a Saturday
        ("2026-03-27T17:00", "2026-03-30T07:00"),  # over the change to summer time
    ],
)
def test_the_next_working_hour(moment, expected):
    assert WorkingHours(time_zone="Europe/Berlin").next_open(utc(moment)) == utc(expected)


def test_hours_of_ones_own():
    hours = WorkingHours(time(22), time(23), (7,), "UTC")
    assert hours.next_open(utc("2026-11-20T10:00")) == utc("2026-11-22T22:00")


@pytest.mark.parametrize(
    ("start", "days", "expected"),
    [
        ("2026-11-20", 1, "2026-11-23"),
        ("2026-11-20", 0, "2026-11-20"),
        ("2026-11-21", 1, "2026-11-23"),
        ("2026-11-20", 6, "2026-11-30"),
        ("2026-11-23", -1, "2026-11-20"),
    ],
)
def test_business_days_pass_over_weekends(start, days, expected):
    assert add_business_days(date.fromisoformat(start), days) == date.fromisoformat(expected)


def test_ticks_never_run_backwards():
    schedule, moment = Schedule("*/7 1-3 * * *", "Europe/Berlin"), utc("2026-10-24T00:00")
    for _ in range(60):
        following = schedule.next_after(moment)
        assert timedelta(0) < following - moment < timedelta(days=1)
        moment = following
