"""Django's database settings from a PostgreSQL URL."""

from typing import Any

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from backend.env import ConfigurationError

APPLICATION_NAME = (
    "crm"  # the change triggers tell the application's own writes ("system") from others ("sql") by it
)
CONNECT_SECONDS = 5
IDLE_CONNECTION_SECONDS = 60
PREPARE_AFTER = 5  # executions on one connection, of what asks for it (core.prepared)


def database_settings(url: str, *, variable: str = "DATABASE_URL", pgbouncer: bool = False) -> dict[str, Any]:
    """One entry of DATABASES.

    `pgbouncer` leaves out what does not survive transaction pooling.
    Raises ConfigurationError, naming the variable, for what libpq does not understand.
    """
    parts = _parse(url, variable)
    return {
        "ENGINE": "backend.postgresql",
        "NAME": parts.pop("dbname", "crm"),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": parts.pop("port", ""),
        "CONN_MAX_AGE": IDLE_CONNECTION_SECONDS,
        "CONN_HEALTH_CHECKS": True,
        "DISABLE_SERVER_SIDE_CURSORS": pgbouncer,
        "OPTIONS": parts | _options(pgbouncer),
    }


def _parse(url: str, variable: str) -> dict[str, Any]:
    try:
        return conninfo_to_dict(url)
    except ProgrammingError:
        # The value holds a password, so it is not repeated.
        raise ConfigurationError(
            f"{variable} is not understood: postgresql://user:password@host:5432/name is expected."
        ) from None


def _options(pgbouncer: bool) -> dict[str, Any]:
    options: dict[str, Any] = {"application_name": APPLICATION_NAME, "connect_timeout": CONNECT_SECONDS}
    options["prepare_threshold"] = None if pgbouncer else PREPARE_AFTER
    return options
