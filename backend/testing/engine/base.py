"""PostgreSQL for tests: emptying the tables between transactional tests gets past triggers that refuse it.

`core_change` is append-only by trigger, TRUNCATE included. The test's connection is a superuser's, so it may
switch triggers off for the length of the flush.
"""

from collections.abc import Iterable
from typing import Any

from django.db.backends.postgresql import operations

from backend.postgresql import base


class DatabaseOperations(operations.DatabaseOperations):
    def execute_sql_flush(self, sql_list: Iterable[str]) -> Any:
        return super().execute_sql_flush(["SET LOCAL session_replication_role = replica;", *sql_list])


class DatabaseWrapper(base.DatabaseWrapper):
    ops_class = DatabaseOperations
