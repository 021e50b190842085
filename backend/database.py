"""Django's database settings from a PostgreSQL URL."""

from typing import Any

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from backend.env import ConfigurationError

APPLICATION_NAME = (
    "crm"  # the change triggers tell the application's own writes ("system") from others ("sql") by it
)
CONNECT_SECONDS = 5
POOL_WAIT_SECONDS = 10
IDLE_CONNECTION_SECONDS = 60


def database_settings(
    url: str, *, variable: str = "DATABASE_URL", pool_size: int = 0, pgbouncer: bool = False
) -> dict[str, Any]:
    """One entry of DATABASES.

    `pool_size` > 0 keeps that many connections per process (for the web, where every request has a thread of
    its own); `pgbouncer` leaves out what does not survive transaction pooling.
    Raises ConfigurationError, naming the variable, for what libpq does not understand.
    """
    parts = _parse(url, variable)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.pop("dbname", "crm"),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": parts.pop("port", ""),
        "CONN_MAX_AGE": 0 if pool_size else IDLE_CONNECTION_SECONDS,
        "CONN_HEALTH_CHECKS": True,
        "DISABLE_SERVER_SIDE_CURSORS": pgbouncer,
        "OPTIONS": parts | _options(pool_size, pgbouncer),
    }


def _parse(url: str, variable: str) -> dict[str, Any]:
    try:
        return conninfo_to_dict(url)
    except ProgrammingError:
        # The value holds a password, so it is not repeated.
        raise ConfigurationError(
            f"{variable} is not understood: postgresql://user:password@host:5432/name is expected."
        ) from None


def _options(pool_size: int, pgbouncer: bool) -> dict[str, Any]:
    options: dict[str, Any] = {"application_name": APPLICATION_NAME, "connect_timeout": CONNECT_SECONDS}
    if pool_size:
        options["pool"] = {"min_size": 1, "max_size": pool_size, "timeout": POOL_WAIT_SECONDS}
    if pgbouncer:
        options["prepare_threshold"] = None
    return options
