"""A database restored from a dump on a server that has counted fewer transactions than the one it came from.

The feed sorts changes by the number of their transaction and shows those below the oldest one running. The
numbers of another server would hide what was restored until this one has counted as far, and sort it behind
what is new.
"""

from django.db import connection, transaction

_NEWEST = "SELECT xid::text::bigint FROM core_change ORDER BY xid DESC LIMIT 1"
_COUNTED = (
    "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint,"
    " pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
)
# 3 is the first number a transaction can have.
_SHIFT = "UPDATE {} SET xid = greatest(3, xid::text::bigint - %s)::text::xid8"


def renumber() -> int:
    """Shift the changes' transactions below this server's oldest running one, their order kept, if they are
    another server's; returns the number of changes shifted, 0 in a database that was not restored."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_NEWEST)
        newest = (cursor.fetchone() or (0,))[0]
        cursor.execute(_COUNTED)
        oldest_running, following = cursor.fetchone()
        if newest < following:
            return 0
        cursor.execute("SET LOCAL crm.maintenance = 'on'")
        cursor.execute(_SHIFT.format("core_outbox"), [newest - oldest_running + 1])
        cursor.execute(_SHIFT.format("core_change"), [newest - oldest_running + 1])
        return cursor.rowcount
