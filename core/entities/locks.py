"""Locks held until the transaction ends (PostgreSQL advisory locks)."""

from zlib import crc32

from django.db import connection

# First halves of the two-part lock key, so that locks of different purposes meet no others.
UNIQUE_FIELD = 7_301
MATCHING = 7_302
DISPATCHING = 7_303
TRANSFER_JOB = 7_304
IMPORTING = 7_305
TEAM_TREE = 7_306
CUSTOM_FIELDS = 7_307
SCORING_JOB = 7_308
DUPLICATE_RULE = 7_309
FINDING_DUPLICATES = 7_310


def lock(space: int, text: str) -> None:
    """One transaction at a time for `text` in `space`."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [space, _number(text)])


def try_lock(space: int, text: str = "") -> bool:
    """The same without waiting: whether this transaction has the lock now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [space, _number(text)])
        return cursor.fetchone()[0]


def _number(text: str) -> int:
    return crc32(text.encode()) - 2**31
