"""Counting against a limit, exactly even when requests come at once: one atomic script in Valkey.

Without Valkey nothing is counted and nothing refused (`consume` answers None), except where the caller asks
for `local` counting by this process. After a failure Valkey is left alone for some seconds, so that an outage
costs one request its short time-out and not each of them.
"""

import logging
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import redis
from django.conf import settings
from django.core.cache import caches
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.retry import Retry

log = logging.getLogger(__name__)

TIMEOUT_S = 0.25
PAUSE_AFTER_FAILURE_S = 5.0
PERIODS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_silent_until = 0.0

# Refused attempts are not counted: who keeps knocking waits no longer than the window.
_SCRIPT = """
local count = tonumber(redis.call('GET', KEYS[1]) or '0')
local left = redis.call('PTTL', KEYS[1])
if count >= tonumber(ARGV[1]) and left > 0 then return {0, count, left} end
count = redis.call('INCR', KEYS[1])
if left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  left = tonumber(ARGV[2])
end
return {1, count, left}
"""


@dataclass(frozen=True)
class Rate:
    """`count` per `seconds`."""

    count: int
    seconds: int


@dataclass(frozen=True)
class RateLimitResult:
    """What came of counting one attempt. `reset_s`: seconds until the window ends."""

    allowed: bool
    rate: Rate
    remaining: int
    reset_s: float


@lru_cache(maxsize=64)
def rate_of(text: str | int) -> Rate:
    """`1200/minute`; a bare number counts per hour. Raises ValueError or KeyError for anything else."""
    count, _, period = str(text).partition("/")
    return Rate(int(count), PERIODS[period or "hour"])


def consume(key: str, rate: Rate, *, local: bool = False) -> RateLimitResult | None:
    """Count one attempt under `key`. None when Valkey is away and `local` counting was not asked for."""
    global _silent_until
    if time.monotonic() >= _silent_until:
        try:
            allowed, count, left_ms = _script()(
                keys=[f"crm:rate:{key}"], args=[rate.count, rate.seconds * 1000]
            )
            return RateLimitResult(bool(allowed), rate, max(0, rate.count - count), left_ms / 1000)
        except redis.RedisError as error:
            _silent_until = time.monotonic() + PAUSE_AFTER_FAILURE_S
            log.warning("Valkey is away, requests are not counted: %s", error)
    return _consume_locally(key, rate) if local else None


def refund(key: str, rate: Rate) -> None:
    """Undo one attempt that turned out not to count."""
    if time.monotonic() < _silent_until:
        _refund_locally(_local_key(key, rate))
        return
    try:
        # Only what exists: a DECR of a key past its time would make one that never ends.
        if _client().exists(f"crm:rate:{key}"):
            _client().decr(f"crm:rate:{key}")
    except redis.RedisError as error:
        log.warning("Valkey is away: %s", error)


_HOLD = """
local now = tonumber(ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if not redis.call('ZSCORE', KEYS[1], ARGV[2]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then
  return 0
end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[4]), ARGV[2])
redis.call('PEXPIRE', KEYS[1], tonumber(ARGV[4]))
return 1
"""


def hold(key: str, holder: str, places: int, seconds: float) -> bool:
    """Take, or keep, one of so many places for so long; exact however many ask at once, over all processes.

    True without Valkey, where nothing is counted.
    """
    arguments: list[int | str] = [int(time.time() * 1000), holder, places, int(seconds * 1000)]
    try:
        return bool(_hold_script()(keys=[f"crm:places:{key}"], args=arguments))
    except redis.RedisError as error:
        log.warning("Valkey is away, places are not counted: %s", error)
        return True


def leave(key: str, holder: str) -> None:
    """Give a place back."""
    try:
        _client().zrem(f"crm:places:{key}", holder)
    except redis.RedisError as error:
        log.warning("Valkey is away: %s", error)


def _consume_locally(key: str, rate: Rate) -> RateLimitResult:
    """The same by this process alone; its windows are the clock's own periods."""
    _local().add(_local_key(key, rate), 0, rate.seconds * 2)
    count = _local().incr(_local_key(key, rate))
    left = rate.seconds - time.time() % rate.seconds
    return RateLimitResult(count <= rate.count, rate, max(0, rate.count - count), left)


def _refund_locally(key: str) -> None:
    if key in _local():
        _local().decr(key)


def _local_key(key: str, rate: Rate) -> str:
    return f"{key}:{int(time.time() // rate.seconds)}"


def _local() -> Any:
    return caches["local"]


@lru_cache(maxsize=1)
def _client() -> redis.Redis:
    return redis.Redis.from_url(
        settings.CACHES["default"]["LOCATION"],  # type: ignore[index]
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )


@lru_cache(maxsize=1)
def _script() -> Script:
    return _client().register_script(_SCRIPT)


@lru_cache(maxsize=1)
def _hold_script() -> Script:
    return _client().register_script(_HOLD)
