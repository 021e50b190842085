"""The clock that everything is due by: the database's. Those of the machines that work may be wrong."""

from datetime import datetime

from django.db import connection


def database_now() -> datetime:
    """What time it is for whoever claims what is due."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        found: datetime = cursor.fetchone()[0]
        return found
