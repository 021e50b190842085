"""Undoing the links that an import made, changed or took away, from the changes of their part."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection

from core.transfer import undo_queries
from core.transfer.linked_columns import LinkTable

# What a link was when the import first wrote it: none where it was created. A part's change has all of the
# link's columns, those too that stayed the same.
_FIRST = """
SELECT DISTINCT ON (c.object_id, i.identity) c.object_id AS holder, i.identity, c.kind, c.changes
FROM core_change c CROSS JOIN LATERAL (
    SELECT jsonb_object_agg(e.key, coalesce(nullif(e.value -> 0, 'null'), e.value -> 1)) AS identity
    FROM jsonb_each(c.changes) e WHERE e.key = ANY(%(identity)s)
) i
WHERE c.entity = %(part)s AND c.object_id = ANY(%(ids)s) AND c.import_id = %(import)s
ORDER BY c.object_id, i.identity, c.id
"""
_OLD = "(SELECT jsonb_object_agg(e.key, e.value -> 0) FROM jsonb_each(f.changes) e)"
_WRITTEN = (
    "SELECT DISTINCT object_id FROM core_change WHERE entity = %s AND object_id = ANY(%s) AND import_id = %s"
)


class LinkUndo:
    """One table of links, and what an import did to it."""

    def __init__(self, table: LinkTable, import_id: int) -> None:
        self.table, self.import_id = table, import_id
        quote = connection.ops.quote_name
        self.name, self.holder = quote(table.model._meta.db_table), quote(table.holder)
        self.identity = [quote(name) for name in table.identity]
        self.values = [quote(name) for name in table.values]
        self.columns = [*self.identity, *self.values]

    def changed_since(self, last: dict[int, int]) -> set[int]:
        """The ids of those whose links the import wrote, and somebody changed after its `last` change."""
        written = {pk for (pk,) in undo_queries.rows(_WRITTEN, [self.table.part, list(last), self.import_id])}
        asked = {pk: last[pk] for pk in sorted(written)}
        return undo_queries.changed_since(asked, self.table.part, self.import_id, []) if asked else set()

    def made(self, ids: Iterable[int]) -> list[int]:
        """The ids of the links that the import made for some records."""
        statement = (
            f"SELECT t.id FROM {self.name} t JOIN ({_FIRST}) f ON f.holder = t.{self.holder}"  # noqa: S608
            " WHERE f.kind = 'created' AND to_jsonb(t) @> f.identity"
        )
        return [pk for (pk,) in undo_queries.rows(statement, self._params(ids))]

    def restore(self, ids: Sequence[int]) -> set[int]:
        """Give records the links they had before the import; returns the ids of those that had others."""
        statements = [self._without_made(), self._as_they_were()]
        params = self._params(ids)
        return {pk for statement in statements for (pk,) in undo_queries.rows(statement, params)}

    def _params(self, ids: Iterable[int]) -> dict[str, Any]:
        return {
            "identity": list(self.table.identity),
            "part": self.table.part,
            "ids": list(ids),
            "import": self.import_id,
        }

    def _without_made(self) -> str:
        return (
            f"DELETE FROM {self.name} t USING ({_FIRST}) f WHERE f.holder = t.{self.holder}"  # noqa: S608
            f" AND f.kind = 'created' AND to_jsonb(t) @> f.identity RETURNING t.{self.holder}"
        )

    def _as_they_were(self) -> str:
        """What was there first is there again, with its values, whatever the import did to it after that."""
        columns = ", ".join(self.columns)
        old = ", ".join(f"r.{column}" for column in self.columns)
        return (
            f"INSERT INTO {self.name} AS t ({self.holder}, {columns})"  # noqa: S608
            f" SELECT f.holder, {old} FROM ({_FIRST}) f"
            f" CROSS JOIN LATERAL jsonb_populate_record(NULL::{self.name}, {_OLD}) r"
            f" WHERE f.kind <> 'created' {self._where_it_is()} RETURNING t.{self.holder}"
        )

    def _where_it_is(self) -> str:
        """What becomes of a link that is there already."""
        if not self.values:
            return "ON CONFLICT DO NOTHING"
        key = ", ".join([self.holder, *self.identity])
        is_other = " OR ".join(f"t.{name} IS DISTINCT FROM excluded.{name}" for name in self.values)
        values = ", ".join(f"{name} = excluded.{name}" for name in self.values)
        return f"ON CONFLICT ({key}) DO UPDATE SET {values} WHERE {is_other}"
