"""How long rows are kept: rooms say after how many days theirs go, one task deletes them bit by bit."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import pgtrigger
from django.db import connection, transaction

from core.conf import conf
from core.jobs import Turn
from core.registry import Registry

BATCH = 2_000


@dataclass(frozen=True)
class RetainedTable:
    """Rows of a table that go once `condition` (with one %s, the moment before which they are old) holds.

    `setting` names the setting with the number of days, 0 for ever; `children` are tables, with their column,
    whose rows go before. `ignored_triggers` protect the table from everybody else. `function` is one of the
    database that deletes them, where nobody else may: it takes the days, and how many at most.
    """

    condition: str
    setting: str
    key: str = "id"
    children: tuple[tuple[str, str], ...] = ()
    ignored_triggers: tuple[str, ...] = ()
    function: str = ""


def ignoring(triggers: tuple[str, ...]) -> AbstractContextManager[None]:
    """Without these triggers; django-pgtrigger takes none named for all of them."""
    return pgtrigger.ignore(*triggers) if triggers else nullcontext()


# By the name of the table.
retained_tables: Registry[RetainedTable] = Registry("table with a retention")


def prune(turn: Turn | None = None) -> int:
    """Delete what is older than its setting, until the `turn` is over; returns the number of rows, children
    left out."""
    return sum(
        sum(_batches(name, table, turn)) for name, table in retained_tables.items() if conf_days(table)
    )


def conf_days(table: RetainedTable) -> int:
    return int(getattr(conf, table.setting))


def _batches(name: str, table: RetainedTable, turn: Turn | None) -> Iterator[int]:
    while not (turn and turn.is_over) and (deleted := _delete(name, table)):
        yield deleted


def _delete(name: str, table: RetainedTable) -> int:
    """One batch in a transaction of its own, children first. Names and conditions are the code's own; the
    moment is by the database's clock, as those of the rows are."""
    if table.function:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SELECT {table.function}(%s, %s)", [conf_days(table), BATCH])
            return int(cursor.fetchone()[0])
    condition = table.condition.replace("%s", "now() - make_interval(days => %s)")
    children = "".join(
        f", child_{n} AS (DELETE FROM {child} WHERE {column} IN (SELECT id FROM old))"  # noqa: S608
        for n, (child, column) in enumerate(table.children)
    )
    sql = (
        f"WITH old AS (SELECT t.{table.key} AS id FROM {name} t WHERE {condition}"  # noqa: S608
        f" ORDER BY t.{table.key} LIMIT {BATCH}){children}"
        f" DELETE FROM {name} WHERE {table.key} IN (SELECT id FROM old)"
    )
    with ignoring(table.ignored_triggers), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, [conf_days(table)])
        return cursor.rowcount
