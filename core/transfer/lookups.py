"""Many keys looked up in one statement, by index whatever the planner believes.

Inside an import the table grows by millions of rows that its statistics do not know, and a plan made for a
small one would read all of it for every chunk. A lateral subquery is planned for one key: by its index.
"""

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import BooleanField, F, Func, Index, QuerySet, UniqueConstraint
from django.db.models.expressions import RawSQL

from core.entities import Entity


class _Wanted(Func):
    """The key of the row that the lateral subquery is asked for."""

    template = "wanted.key"


class _Equal(Func):
    template = "%(expressions)s"
    arg_joiner = " = "
    output_field = BooleanField()


class _OneOf(Func):
    """`compared = ANY(array)` of any length: PostgreSQL looks each row up in a hash table of its items."""

    template = "%(expressions)s"
    arg_joiner = " = ANY"
    output_field = BooleanField()

    def __init__(self, compared: Any, db_type: str, keys: Iterable[Any]) -> None:
        super().__init__(compared, RawSQL(f"(%s::{db_type}[])", [list(keys)]))  # noqa: S611 (a column's type)


def rows_with_keys(rows: QuerySet, compared: Any, db_type: str, keys: Iterable[Any]) -> list[tuple[Any, int]]:
    """(key, id) of those of `rows` whose `compared` equals one of `keys`, which are of the SQL type.

    Where no index begins with `compared` all rows are read, but once for all keys.
    """
    if not is_indexed(rows.model, compared):
        found = rows.filter(_OneOf(compared, db_type, keys)).order_by()
        return list(found.annotate(_key=compared).values_list("_key", "pk"))
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


def is_indexed(model: Any, compared: Any) -> bool:
    """Whether a declared index or unique constraint begins with an expression or column."""
    if isinstance(compared, F):
        fields: dict[str, Any] = {n: f for f in model._meta.concrete_fields for n in (f.name, f.attname)}
        field: Any = fields.get(compared.name, model._meta.pk)  # type: ignore[attr-defined]  # not in the stub
        if field.unique or field.db_index:
            return True
    firsts = [
        index.expressions[0] if index.expressions else F(index.fields_orders[0][0])
        for index in model._meta.indexes
        if type(index) is Index
    ]
    unique = [c for c in model._meta.constraints if isinstance(c, UniqueConstraint) and c.fields]
    return compared in (*firsts, *(F(constraint.fields[0]) for constraint in unique))


def permitted_ids(entity: Entity, user: Any, action: str, ids: Iterable[int]) -> set[int]:
    """Those of `ids` on which `user` may do `action`."""
    wanted = set(ids)
    if not wanted or not entity.model.policy.scope(user, action):
        return wanted
    rows = entity.visible_to(user, action)
    return {pk for _, pk in rows_with_keys(rows, F("pk"), "bigint", wanted)}
