"""When something is tried again."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.retry import DELIVERY, STEP, is_transient, retry_after_of

DAY = timedelta(days=1)


class Middle(random.Random):
    """No jitter: always the middle of the range."""

    def uniform(self, low, high):
        return (low + high) / 2


def test_steps_are_tried_five_times():
    delays = [STEP.delay(n, rng=Middle()) for n in range(1, 6)]
    assert [d and d.total_seconds() for d in delays] == [10, 30, 90, 270, None]
    assert STEP.attempts == 5


def test_deliveries_are_tried_for_more_than_three_days():
    delays = [DELIVERY.delay(n, rng=Middle()) for n in range(1, 11)]
    assert [d and d.total_seconds() for d in delays] == [
        5,
        300,
        1800,
        7200,
        18000,
        36000,
        50400,
        72000,
        86400,
        None,
    ]
    assert sum((d for d in delays if d), timedelta()) > 3 * DAY


@given(st.integers(1, 20), st.sampled_from([STEP, DELIVERY]), st.integers(0, 10**7))
def test_every_delay_is_within_its_bounds(attempt, back_off, asked):
    delay = back_off.delay(attempt, timedelta(seconds=asked))
    if attempt >= back_off.attempts:
        assert delay is None
    else:
        own = back_off.pauses[attempt - 1]
        assert timedelta(seconds=own * 0.8) <= delay <= max(timedelta(seconds=own * 1.2), DAY)


def test_a_longer_pause_of_the_other_side_wins_up_to_a_day():
    assert STEP.delay(1, timedelta(seconds=100)) == timedelta(seconds=100)
    assert STEP.delay(1, timedelta(seconds=1), Middle()) == timedelta(seconds=10)
    assert STEP.delay(1, timedelta(days=9)) == DAY


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        ("Sat, 21 Nov 2026 12:02:00 GMT", 120),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0),
        ("0", 0),
        ("soon", None),
        ("", None),
        ("-5", None),
        ("9" * 50, 10**6),
        ("1.5", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(text, seconds):
    found = retry_after_of({"retry-after": text}, datetime(2026, 11, 21, 12, tzinfo=UTC))
    assert (found and found.total_seconds()) == seconds or (seconds == 0 and found == timedelta(0))


def test_which_statuses_pass_with_time():
    assert [
        s
        for s in (200, 301, 400, 401, 403, 404, 408, 409, 410, 422, 425, 429, 500, 502, 503, 504)
        if is_transient(s)
    ] == [
        408,
        409,
        425,
        429,
        500,
        502,
        503,
        504,
    ]
