"""A connection beside the transaction: what it writes is kept, whatever becomes of the other."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections


class SecondConnection:
    """Commits each statement by itself."""

    def __init__(self) -> None:
        self.connection = connections.create_connection(DEFAULT_DB_ALIAS)

    def rows(self, statement: str, params: list[Any]) -> list[tuple[Any, ...]]:
        """What a statement returns."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement, params)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def second_connection() -> Iterator[SecondConnection]:
    """A second connection for the length of a block."""
    made = SecondConnection()
    try:
        yield made
    finally:
        made.connection.close()
