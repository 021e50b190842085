"""When to try again: bounded, jittered, with respect for what the other side asked for."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

JITTER = 0.2
MAX_RETRY_AFTER = timedelta(hours=24)
# Client errors that pass with time: time-out, conflict, too early, too many requests.
RETRIED_STATUS = {408, 409, 425, 429}


@dataclass(frozen=True)
class BackOff:
    """The pauses between attempts, in seconds; one attempt more than there are pauses."""

    pauses: tuple[float, ...]

    @property
    def attempts(self) -> int:
        return len(self.pauses) + 1

    def delay(
        self, attempt: int, retry_after: timedelta | None = None, rng: random.Random | None = None
    ) -> timedelta | None:
        """How long to wait after failed attempt number `attempt` (from 1); None when there are no more.

        Spread by ±20 %, so that what failed together does not come back together. A longer
        `retry_after` wins, up to a day.
        """
        if attempt > len(self.pauses):
            return None
        spread = (rng or random).uniform(1 - JITTER, 1 + JITTER)
        own = timedelta(seconds=self.pauses[attempt - 1] * spread)
        return max(own, min(retry_after, MAX_RETRY_AFTER)) if retry_after else own


def exponential(first_s: float, factor: float, retries: int, cap_s: float) -> BackOff:
    """`retries` pauses from `first_s`, each `factor` times the one before, none above `cap_s`."""
    return BackOff(tuple(min(first_s * factor**n, cap_s) for n in range(retries)))


# Steps of a run: 10 s, 30 s, 90 s, 4.5 min.
STEP = exponential(10, 3, retries=4, cap_s=3600)
# What leaves the house (the example schedule of Standard Webhooks 1.0): 5 s … 24 h, over three days in all.
DELIVERY = BackOff((5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400))


def retry_after_of(headers: Mapping[str, str], now: datetime | None = None) -> timedelta | None:
    """The pause a `Retry-After` header asks for, in seconds or as a date; None where it asks for none."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), 10**6))
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(aware - (now or datetime.now(UTC)), timedelta(0))


def is_transient(status: int) -> bool:
    """Whether a reply of this status may be another one later."""
    return status in RETRIED_STATUS or status >= 500
