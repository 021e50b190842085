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
# From the newest down without gaps. 3 is the first number a transaction can have: where there are more
# transactions than numbers, the oldest share it, and their changes are in the order of their ids.
_RENUMBER = """
WITH numbers AS MATERIALIZED (
    SELECT xid AS old, greatest(3, %s - row_number() OVER (ORDER BY xid DESC))::text::xid8 AS new
    FROM (SELECT xid FROM core_change UNION SELECT xid FROM core_outbox) AS found
), outbox AS (UPDATE core_outbox o SET xid = n.new FROM numbers n WHERE o.xid = n.old)
UPDATE core_change c SET xid = n.new FROM numbers n WHERE c.xid = n.old
"""


def renumber_transactions() -> int:
    """Number the changes' transactions anew, below this server's oldest running one and in their order, if
    they are another server's; returns the number of changes, 0 in a database that was not restored."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_NEWEST)
        newest = (cursor.fetchone() or (0,))[0]
        cursor.execute(_COUNTED)
        oldest_running, following = cursor.fetchone()
        if newest < following:
            return 0
        # Until this server has counted as far, nothing would be sealed.
        cursor.execute("DELETE FROM core_sealbound")
        # Nor does a cursor of the other server lead behind what was archived there.
        cursor.execute("UPDATE core_changearchive SET last_xid = '0'")
        cursor.execute("SET LOCAL crm.maintenance = 'on'")
        cursor.execute(_RENUMBER, [oldest_running])
        return cursor.rowcount
