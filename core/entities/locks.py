"""PostgreSQL advisory locks, held until the transaction ends; `session_lock` as long as its block runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from zlib import crc32

from django.db import OperationalError, connection, transaction

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
MATCHING_COMPANIES = 7_311
IMPORT_DRAFT = 7_312
RECORD_COUNTS = 7_313
PRIVACY_FILE = 7_314
ARCHIVING = 7_315
# PostgreSQL's code of a lock that was not had in time.
_NOT_AVAILABLE = "55P03"


def lock(space: int, text: str) -> None:
    """One transaction at a time for `text` in `space`."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [space, _number(text)])


def try_lock(space: int, text: str = "") -> bool:
    """The same without waiting: whether this transaction has the lock now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [space, _number(text)])
        return cursor.fetchone()[0]


def lock_within(space: int, text: str, seconds: float) -> bool:
    """The same, waiting that long at most."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [str(round(seconds * 1000))])
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [space, _number(text)])
            cursor.execute("SET LOCAL lock_timeout TO DEFAULT")
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") == _NOT_AVAILABLE:
            return False
        raise
    return True


@contextmanager
def session_lock(space: int) -> Iterator[bool]:
    """For work of several transactions, without waiting: whether this session has the lock for the block."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, 0)", [space])
        [got] = cursor.fetchone()
    try:
        yield got
    finally:
        if got:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, 0)", [space])


def _number(text: str) -> int:
    return crc32(text.encode()) - 2**31
