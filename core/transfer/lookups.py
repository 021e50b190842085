"""Many keys looked up in one statement, by index whatever the planner believes.

Inside an import the table grows by millions of rows that its statistics do not know, and a plan made for a
small one would read all of it for every chunk. A lateral subquery is planned for one key: by its index.
"""

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import BooleanField, F, Func, QuerySet

from core.entities import Entity


class _Wanted(Func):
    """The key of the row that the lateral subquery is asked for."""

    template = "wanted.key"


class _Equal(Func):
    template = "%(expressions)s"
    arg_joiner = " = "
    output_field = BooleanField()


def holders_of(rows: QuerySet, compared: Any, db_type: str, keys: Iterable[Any]) -> list[tuple[Any, int]]:
    """(key, id) of those of `rows` whose `compared` equals one of `keys`, which are of the SQL type."""
    asked = rows.filter(_Equal(compared, _Wanted())).order_by().values_list("pk")
    try:
        inner, params = asked.query.get_compiler(DEFAULT_DB_ALIAS).as_sql()
    except EmptyResultSet:
        return []
    statement = (
        # OFFSET 0 keeps the subquery from being merged into a join.
        f"SELECT wanted.key, found.id FROM unnest(%s::{db_type}[]) AS wanted (key)"  # noqa: S608
        f" CROSS JOIN LATERAL ({inner} OFFSET 0) AS found (id)"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(keys), *params])
        return cursor.fetchall()


def reached(entity: Entity, user: Any, action: str, ids: Iterable[int]) -> set[int]:
    """Those of `ids` on which `user` may do `action`."""
    wanted = set(ids)
    if not wanted or not entity.model.policy.scope(user, action):
        return wanted
    rows = entity.visible_to(user, action)
    return {pk for _, pk in holders_of(rows, F("pk"), "bigint", wanted)}
