"""Giving a user's records to others, in one statement for each table."""

from collections.abc import Sequence

from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import QuerySet

# Both columns of a record that is the user's in both ways go to one receiver.
_REASSIGN = """
UPDATE {table} SET
    owner_id = CASE WHEN owner_id = %s THEN given.receiver ELSE owner_id END,
    assigned_to_id = CASE WHEN assigned_to_id = %s THEN given.receiver ELSE assigned_to_id END
FROM (
    SELECT theirs.id,
        (%s::bigint[])[(1 + (row_number() OVER (ORDER BY theirs.id) - 1) %% %s)::int] AS receiver
    FROM ({rows}) AS theirs (id)
) AS given
WHERE {table}.id = given.id
"""


def reassign(rows: QuerySet, user_id: int, receivers: Sequence[int]) -> int:
    """Put the receivers, one after the other, in the user's place as owner and assignee of `rows`; returns
    how many rows were changed."""
    selected, params = rows.values_list("pk").query.get_compiler(DEFAULT_DB_ALIAS).as_sql()
    statement = _REASSIGN.format(table=rows.model._meta.db_table, rows=selected)
    with connection.cursor() as cursor:
        cursor.execute(statement, [user_id, user_id, list(receivers), len(receivers), *params])
        return cursor.rowcount
