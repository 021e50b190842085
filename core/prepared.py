"""Statements whose text never changes, planned once per connection and not at each request."""

from typing import Any

import psycopg
from django.db import connections


def cursor(alias: str) -> Any:
    """A cursor that binds its parameters on the server, so that psycopg prepares what is often executed.

    Django's own writes them into the text; it serves while statements are logged with their values. Behind
    PgBouncer nothing is prepared (backend.database).
    """
    connection = connections[alias]
    if connection.queries_logged:
        return connection.cursor()
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    plain = psycopg.Cursor(connection.connection)
    return connection.make_cursor(plain)  # type: ignore[arg-type]  # the stub wants what this makes
