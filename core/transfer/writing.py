"""Rows into tables, set at a time: COPY for new records, one UPDATE … FROM for changed ones.

The triggers see every row as one statement's, so each chunk costs one row of the outbox.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.db import connection, models
from psycopg.types.json import Jsonb

from core.entities import Entity
from core.transfer.linked_columns import Links
from core.transfer.values import Values

STAGE = "crm_import_stage"


@dataclass(eq=False)
class Pending:
    """A record about to be written. `values` holds what is to be stored by table column, `before` the stored
    record where there is one; `rows` are the places in the chunk of the rows that made it, `links` what its
    linked columns name."""

    values: Values
    before: Values | None
    rows: list[int] = field(default_factory=list)
    pk: int = 0
    links: dict[str, Links] = field(default_factory=dict)

    @property
    def now(self) -> Values:
        """The record as it will be."""
        return self.values if self.before is None else self.before | self.values


class Writer:
    """Writes an entity's records inside the caller's transaction."""

    def __init__(self, entity: Entity) -> None:
        self.entity = entity
        meta = entity.model._meta
        self.table = connection.ops.quote_name(meta.db_table)
        self.fields: dict[str, models.Field] = {f.attname: f for f in meta.concrete_fields}
        self.columns = {f.attname: connection.ops.quote_name(f.column) for f in meta.concrete_fields}
        self.stage: tuple[str, ...] = ()

    def create(self, pendings: Sequence[Pending]) -> None:
        """Insert new records and set the id of each."""
        if not pendings:
            return
        for pending, pk in zip(pendings, self._ids(len(pendings)), strict=True):
            pending.pk = pk
        names = self._names(p.values for p in pendings)
        columns = {name: self._column(name, pendings) for name in names}
        given = {name: values for name, values in columns.items() if values is not None}
        rows = zip((p.pk for p in pendings), *given.values(), strict=True)
        self._copy(self.table, ("id", *given), rows)

    def _column(self, name: str, pendings: Sequence[Pending]) -> list[Any] | None:
        """One column's values; None where the database's own default says the same for all."""
        default = self.fields[name].get_default()
        values = [p.values.get(name, default) for p in pendings]
        known = default is None or self.fields[name].has_db_default()
        return None if known and values.count(default) == len(values) else values

    def update(self, pendings: Sequence[Pending]) -> None:
        """Write the changed values of stored records in one statement."""
        names = self._names(p.values for p in pendings)
        if not names:
            return
        self._prepare_stage(names)
        rows = ((p.pk, *(p.values.get(n, p.before[n]) for n in names)) for p in pendings)  # type: ignore[index]  # stored, so read before
        self._copy(STAGE, ("id", *names), rows)
        columns = [self.columns[name] for name in names]
        changes = ", ".join(f"{column} = s.{column}" for column in columns)
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE {self.table} t SET {changes} FROM {STAGE} s WHERE t.id = s.id")  # noqa: S608

    def taken_back(self) -> None:
        """What was written last is undone, and with it what is known of the temporary table."""
        self.stage = ()

    def _names(self, rows: Iterable[Values]) -> tuple[str, ...]:
        """Every column that a row sets, in the order of the table."""
        present = set().union(*rows)
        return tuple(name for name in self.fields if name in present)

    def _ids(self, count: int) -> list[int]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)",
                [self.table, count],
            )
            return [row[0] for row in cursor.fetchall()]

    def _prepare_stage(self, names: tuple[str, ...]) -> None:
        """An empty temporary table of the columns to change."""
        with connection.cursor() as cursor:
            if self.stage == names:
                cursor.execute(f"TRUNCATE {STAGE}")
                return
            columns = ", ".join(self.columns[n] for n in ("id", *names))
            cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{STAGE}")
            cursor.execute(
                f"CREATE TEMP TABLE {STAGE} ON COMMIT DROP AS SELECT {columns} FROM {self.table} WITH NO DATA"  # noqa: S608
            )
        self.stage = names

    def _copy(self, table: str, names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
        columns = ", ".join(self.columns[name] for name in names)
        wrapped = [i for i, n in enumerate(names) if isinstance(self.fields[n], models.JSONField)]
        statement = f"COPY {table} ({columns}) FROM STDIN"
        # Django translates no error of psycopg's own `copy`.
        with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                values = list(row)
                for place in wrapped:
                    values[place] = Jsonb(values[place], dumps=orjson.dumps)
                copy.write_row(values)
