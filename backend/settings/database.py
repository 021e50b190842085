"""PostgreSQL."""

from backend.database import database_settings
from backend.settings.environment import embedded, env

# Each has a connection of its own.
WEB_THREADS = env.integer("WEB_THREADS", 16, minimum=1, maximum=1000)
_pgbouncer = env.flag("DATABASE_PGBOUNCER", False)
_postgres_schemes = ["postgresql", "postgres"]
DATABASES = {
    "default": database_settings(
        env.url("DATABASE_URL", _postgres_schemes, embedded.database_url()),
        pgbouncer=_pgbouncer,
    )
}
if env.is_set("DATABASE_REPLICA_URL"):
    DATABASES["replica"] = database_settings(
        env.url("DATABASE_REPLICA_URL", _postgres_schemes),
        variable="DATABASE_REPLICA_URL",
        pgbouncer=_pgbouncer,
    ) | {"TEST": {"MIRROR": "default"}}
