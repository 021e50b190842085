"""Two roles in the database: one owns the tables and migrates, one is what the processes run as.

The running role may read and write records, and only add to the change table and its seals: what stands there
it can neither change nor delete, and it cannot switch triggers off. Erasures and the retention work through
functions of the database, which seal what they did (migration core 0047).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import connections, transaction

# What is only added to, and what only migrations write.
APPEND_ONLY = ("core_change", "core_auditseal", "core_auditverification")
MIGRATIONS = ("django_migrations",)
FUNCTIONS = ("core_change_rewrite", "core_change_empty_own", "core_change_prune")
_CONNECTING = ("NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")
OWNS = (
    "The role {role} of DATABASE_URL owns the change table, or is a superuser, and can do anything to it:"
    ' as a superuser, REASSIGN OWNED BY "{role}" TO the role of DATABASE_MIGRATION_URL.'
)


@contextmanager
def as_owner() -> Iterator[None]:
    """Be connected as the role of DATABASE_MIGRATION_URL, where there is one."""
    given = settings.DATABASE_MIGRATION
    if given is None:
        yield
        return
    connection = connections["default"]
    kept = connection.settings_dict
    connection.close()
    connection.settings_dict = kept | {name: given[name] for name in _CONNECTING}
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict = kept


def grant() -> str:
    """Give the running role what it needs and take from it what it must not have, however often; returns what
    is still wrong, in a sentence, or ""."""
    role = settings.DATABASES["default"]["USER"]
    if settings.DATABASE_MIGRATION is None or settings.DATABASE_MIGRATION["USER"] == role:
        return ""
    with as_owner(), transaction.atomic(), connections["default"].cursor() as cursor:
        # Two at once would meet in PostgreSQL's own tables.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('crm_grants'))")
        cursor.execute("SELECT quote_ident(current_schema()), quote_ident(%s)", [role])
        schema, to = cursor.fetchone()
        for statement in (
            f"GRANT USAGE ON SCHEMA {schema} TO {to}",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {to}",
            f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {to}",
            *(f"REVOKE ALL ON {name} FROM {to}" for name in _present(cursor, (*APPEND_ONLY, *MIGRATIONS))),
            *(f"GRANT SELECT, INSERT ON {name} TO {to}" for name in _present(cursor, APPEND_ONLY)),
            *(f"GRANT SELECT ON {name} TO {to}" for name in _present(cursor, MIGRATIONS)),
        ):
            cursor.execute(statement)
        for function in _functions(cursor):
            cursor.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
            cursor.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {to}")
        cursor.execute(
            "SELECT coalesce(bool_or(pg_has_role(%s, c.relowner, 'MEMBER')), false)"
            " FROM pg_class c WHERE c.oid = to_regclass('core_change')",
            [role],
        )
        return OWNS.format(role=role) if cursor.fetchone()[0] else ""


def _present(cursor: Any, names: tuple[str, ...]) -> list[str]:
    """Those of the tables that there are: while an old migration is gone back to, some are not."""
    cursor.execute(
        "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NOT NULL", [[*names]]
    )
    return [name for (name,) in cursor.fetchall()]


def _functions(cursor: Any) -> list[str]:
    cursor.execute(
        "SELECT oid::regprocedure::text FROM pg_proc"
        " WHERE pronamespace = current_schema()::regnamespace AND proname = ANY(%s)",
        [[*FUNCTIONS]],
    )
    return [name for (name,) in cursor.fetchall()]
