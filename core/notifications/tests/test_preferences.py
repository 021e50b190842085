"""Preferences over HTTP, and quiet hours in zones whose clocks change."""

from datetime import UTC, datetime, time

import pytest

from core.accounts.models import User
from core.notifications import preferences
from core.notifications.models import NotificationPreference
from core.notifications.preferences import quiet_until, wall
from core.notifications.types import types

pytestmark = pytest.mark.django_db
URL = "/api/v1/notifications/preferences/"


def test_everyone_has_defaults_by_type_and_role(api, rep, make_user):
    shown = api(rep).get(URL).json()
    assert shown["channels"] == {"in_app": True, "email": True, "push": True, "sms": False}
    assert set(shown["types"]) == set(types.keys())
    assert shown["types"]["mention"] == {"in_app": True, "email": True, "push": True, "sms": False}
    assert shown["types"]["reminder"]["sms"] is True
    assert shown["digest"] == {"daily": True, "weekly": False}
    assert shown["do_not_disturb"] == {
        "enabled": False,
        "start": "22:00",
        "end": "07:00",
        "days": [],
        "whole_days": [],
        "allow_urgent": False,
    }
    viewer = api(make_user("viewer")).get(URL).json()
    assert viewer["types"]["assignment"]["email"] is False
    assert viewer["types"]["mention"]["email"] is True
    assert viewer["digest"]["daily"] is False


def test_a_change_takes_over_what_it_names_and_leaves_the_rest(api, make_user):
    viewer = make_user("viewer")
    client = api(viewer)
    changed = client.patch(
        URL,
        {
            "channels": {"sms": True},
            "types": {"mention": {"email": False}, "update": False},
            "digest": {"weekly": True},
            "do_not_disturb": {
                "enabled": True,
                "start": "21:30",
                "days": ["sun", "mon"],
                "allow_urgent": True,
            },
            "time_zone": "Asia/Kathmandu",
        },
    )
    assert changed.status_code == 200
    shown = changed.json()
    assert shown == client.get(URL).json()
    assert shown["channels"]["sms"] is True
    assert shown["types"]["mention"] == {"in_app": True, "email": False, "push": True, "sms": False}
    assert set(shown["types"]["update"].values()) == {False}
    assert shown["digest"] == {"daily": False, "weekly": True}
    assert shown["do_not_disturb"]["days"] == ["mon", "sun"]
    assert shown["do_not_disturb"]["start"] == "21:30"
    assert User.objects.get(pk=viewer.pk).time_zone == "Asia/Kathmandu"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"colour": 1}, "colour"),
        ({"channels": {"fax": True}}, "channels.fax"),
        ({"channels": {"sms": "yes"}}, "channels.sms"),
        ({"channels": True}, "channels"),
        ({"types": {"gossip": {"email": True}}}, "types.gossip"),
        ({"types": {"mention": {"fax": True}}}, "types.mention.fax"),
        ({"types": {"mention": {"email": 1}}}, "types.mention.email"),
        ({"digest": {"hourly": True}}, "digest.hourly"),
        ({"do_not_disturb": {"start": "25:00"}}, "do_not_disturb.start"),
        ({"do_not_disturb": {"days": ["someday"]}}, "do_not_disturb.days"),
        ({"do_not_disturb": {"enabled": True, "days": ["mon"], "end": "22:00"}}, "do_not_disturb.end"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "GMT+25"}, "time_zone"),
        ({"time_zone": ["UTC"]}, "time_zone"),
        ({"time_zone": None}, "time_zone"),
        ({"channels": None}, "channels"),
        ({"channels": {"sms": None}}, "channels.sms"),
        ({"channels": {"sms": [True]}}, "channels.sms"),
        ({"types": [True]}, "types"),
        ({"types": {"mention": []}}, "types.mention"),
        ({"do_not_disturb": []}, "do_not_disturb"),
        ({"do_not_disturb": {"end": 7}}, "do_not_disturb.end"),
        ({"do_not_disturb": {"start": "7:00"}}, "do_not_disturb.start"),
        ({"do_not_disturb": {"start": "22:00:00"}}, "do_not_disturb.start"),
        ({"do_not_disturb": {"days": "mon"}}, "do_not_disturb.days"),
        ({"do_not_disturb": {"days": [["mon"]]}}, "do_not_disturb.days"),
        ([], ""),
        ("text", ""),
    ],
)
def test_a_wrong_change_is_refused_whole(api, rep, body, field):
    good = {"channels": {"push": False}} if isinstance(body, dict) and "channels" not in body else {}
    response = api(rep).patch(URL, good | body if isinstance(body, dict) else body)
    assert response.status_code == 400
    assert field in [e["field"] for e in response.json()["errors"]]
    assert preferences.of(rep).channel("push") is True


def test_everything_wrong_is_named_at_once(api, rep):
    body = {
        "colour": 1,
        "channels": {"fax": True, "sms": "yes"},
        "do_not_disturb": {"start": "25:00", "days": ["someday"]},
    }
    response = api(rep).patch(URL, body)
    assert sorted((e["field"], e["code"]) for e in response.json()["errors"]) == [
        ("channels.fax", "unknown_field"),
        ("channels.sms", "invalid"),
        ("colour", "unknown_field"),
        ("do_not_disturb.days", "invalid"),
        ("do_not_disturb.start", "invalid"),
    ]
    assert not NotificationPreference.objects.filter(user=rep).exists()


def test_a_hundred_thousand_unknown_keys_are_refused_in_short(api, rep):
    for body in (
        {str(n): 1 for n in range(100_000)},
        {"types": {str(n): True for n in range(100_000)}},
        {"do_not_disturb": {"days": ["someday"] * 100_000}},
    ):
        response = api(rep).patch(URL, body)
        assert response.status_code in (400, 413)
        assert len(response.content) < 50_000
    assert not NotificationPreference.objects.filter(user=rep).exists()


@pytest.mark.parametrize("body", [None, {}])
def test_an_empty_change_changes_nothing(api, rep, body):
    client = api(rep)
    before = client.get(URL).json()
    response = client.patch(URL, body)
    assert (response.status_code, response.json()) == (200, before)


def test_a_change_of_what_was_changed_meanwhile_is_refused(api, rep):
    client = api(rep)
    read = client.get(URL)
    changed = client.patch(URL, {"channels": {"sms": True}}, HTTP_IF_MATCH=read["ETag"])
    assert changed.status_code == 200
    assert changed["ETag"] == client.get(URL)["ETag"] != read["ETag"]
    late = client.patch(URL, {"channels": {"push": False}}, HTTP_IF_MATCH=read["ETag"])
    assert (late.status_code, late["ETag"]) == (412, changed["ETag"])
    assert client.get(URL).json() == changed.json()
    assert client.patch(URL, {"channels": {"push": False}}, HTTP_IF_MATCH="*").status_code == 200


def test_what_was_read_can_be_sent_back(api, rep):
    client = api(rep)
    read = client.get(URL).json()
    assert client.patch(URL, read).json() == read


def hours(
    user, zone, start=time(22), end=time(7), days=("mon", "tue", "wed", "thu", "fri", "sat", "sun"), **more
):
    user.time_zone = zone
    return NotificationPreference(
        user=user, quiet=True, quiet_from=start, quiet_until=end, quiet_days=list(days), **more
    )


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "now", "until"),
    [
        # An ordinary night, entered before and after midnight, and its two edges.
        ("Europe/Berlin", "2026-01-10T20:59", "2026-01-10T20:59"),
        ("Europe/Berlin", "2026-01-10T21:00", "2026-01-11T06:00"),
        ("Europe/Berlin", "2026-01-11T05:59", "2026-01-11T06:00"),
        ("Europe/Berlin", "2026-01-11T06:00", "2026-01-11T06:00"),
        # Clocks forward on 29 March and back on 25 October: the night is an hour shorter, and longer.
        ("Europe/Berlin", "2026-03-28T21:30", "2026-03-29T05:00"),
        ("Europe/Berlin", "2026-10-24T20:30", "2026-10-25T06:00"),
        # 8 March and 1 November.
        ("America/New_York", "2026-03-08T04:00", "2026-03-08T11:00"),
        ("America/New_York", "2026-11-01T03:00", "2026-11-01T12:00"),
        # Half an hour only, on 5 April and 4 October.
        ("Australia/Lord_Howe", "2026-04-04T12:00", "2026-04-04T20:30"),
        ("Australia/Lord_Howe", "2026-10-03T12:00", "2026-10-03T20:00"),
    ],
)
def test_quiet_nights_end_at_seven_on_the_wall(rep, zone, now, until):
    assert quiet_until(hours(rep, zone), rep, utc(now)) == utc(until)


@pytest.mark.parametrize(
    ("zone", "day", "at", "moment"),
    [
        ("Europe/Berlin", "2026-03-29", time(2, 30), "2026-03-29T01:00"),  # skipped: the moment of the change
        ("Europe/Berlin", "2026-10-25", time(2, 30), "2026-10-25T00:30"),  # twice: the first
        ("America/New_York", "2026-03-08", time(2, 1), "2026-03-08T07:00"),
        ("America/New_York", "2026-11-01", time(1, 30), "2026-11-01T05:30"),
        ("Australia/Lord_Howe", "2026-10-04", time(2, 15), "2026-10-03T15:30"),
        ("Australia/Lord_Howe", "2026-04-05", time(1, 45), "2026-04-04T14:45"),
        ("America/Sao_Paulo", "2018-11-04", time(0), "2018-11-04T03:00"),  # a day without a midnight
    ],
)
def test_times_that_are_skipped_or_come_twice(rep, zone, day, at, moment):
    rep.time_zone = zone
    assert wall(datetime.fromisoformat(day).date(), at, rep) == utc(moment)


def test_quiet_days_and_nights_join(rep):
    own = hours(rep, "Europe/Berlin", days=["fri", "sun"], silent_days=["sat", "sun"])
    friday_night = utc("2026-01-09T22:00")
    assert quiet_until(own, rep, friday_night) == utc("2026-01-12T06:00"), "Friday night to Monday seven"


def test_hours_within_one_day(rep):
    own = hours(rep, "UTC", start=time(12), end=time(13), days=["mon"])
    assert quiet_until(own, rep, utc("2026-01-12T12:30")) == utc("2026-01-12T13:00")
    assert quiet_until(own, rep, utc("2026-01-13T12:30")) == utc("2026-01-13T12:30")


def test_a_week_of_silence_holds_for_eight_days_at_most(rep):
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    own = hours(rep, "UTC", days=[], silent_days=days)
    assert quiet_until(own, rep, utc("2026-01-12T12:00")) == utc("2026-01-21T00:00")


def test_urgent_types_pass_only_if_the_user_says_so(rep):
    now = utc("2026-01-10T23:00")
    for passes, expected in ((False, utc("2026-01-11T07:00")), (True, now)):
        options = preferences.Preferences(rep, hours(rep, "UTC", urgent_passes=passes))
        assert options.held_until("reminder", now) == expected
        assert options.held_until("update", now) == utc("2026-01-11T07:00")
