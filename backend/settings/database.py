"""PostgreSQL."""

from datetime import timedelta

from backend.database import database_settings
from backend.settings.environment import embedded, env

# Each has a connection of its own.
WEB_THREADS = env.integer("WEB_THREADS", 16, minimum=1, maximum=1000)
# How long one statement may take: what a request reads, what it writes, what a worker does.
DATABASE_READ_TIMEOUT = env.duration("DATABASE_READ_TIMEOUT", timedelta(seconds=15)).total_seconds()
DATABASE_WRITE_TIMEOUT = env.duration("DATABASE_WRITE_TIMEOUT", timedelta(seconds=60)).total_seconds()
DATABASE_JOB_TIMEOUT = env.duration("DATABASE_JOB_TIMEOUT", timedelta(minutes=15)).total_seconds()
_pgbouncer = env.flag("DATABASE_PGBOUNCER", False)
_postgres_schemes = ["postgresql", "postgres"]
DATABASES = {
    "default": database_settings(
        env.url("DATABASE_URL", _postgres_schemes, embedded.database_url()),
        pgbouncer=_pgbouncer,
    )
}
# Who owns the tables and migrates (backend.database_roles); None where that is the running role itself.
_migration_url = env.url(
    "DATABASE_MIGRATION_URL", _postgres_schemes, "" if env.is_set("DATABASE_URL") else embedded.owner_url()
)
DATABASE_MIGRATION = (
    database_settings(_migration_url, variable="DATABASE_MIGRATION_URL") if _migration_url else None
)
if env.is_set("DATABASE_REPLICA_URL"):
    DATABASES["replica"] = database_settings(
        env.url("DATABASE_REPLICA_URL", _postgres_schemes),
        variable="DATABASE_REPLICA_URL",
        pgbouncer=_pgbouncer,
    ) | {"TEST": {"MIRROR": "default"}}
