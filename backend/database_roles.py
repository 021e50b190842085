"""Two roles in the database: one owns the tables and migrates, one is what the processes run as.

The running role reads and writes records, and only adds to the change table: what stands there it can
neither change nor delete, and it cannot switch triggers off. It reads the seals and does not write them.
Sealing, erasures and the retention work through functions of the database that belong to the owner, take
values out and put none in, and seal what they did (migration core 0047). docs/audit.md says what the role can
do all the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import connections, transaction

from core.conf import conf

# What is only added to, and what only the owner and its functions write.
APPEND_ONLY = ("core_change", "core_auditverification")
READ_ONLY = (
    "core_auditseal",
    "core_sealbound",
    "core_changeretention",
    "core_changearchive",
    "django_migrations",
)
FUNCTIONS = (
    "core_auditseal_lock", "core_auditseal_next", "core_change_rewrite", "core_change_empty_own",
    "core_change_prune",
)  # fmt: skip
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
        restricted = (*APPEND_ONLY, *READ_ONLY)
        for statement in (
            f"GRANT USAGE ON SCHEMA {schema} TO {to}",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {to}",
            f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {to}",
            # Who may make functions and operators here decides what names mean.
            f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC, {to}",
            *(f"REVOKE ALL ON {name} FROM {to}" for name in _present(cursor, restricted)),
            *(f"GRANT SELECT, INSERT ON {name} TO {to}" for name in _present(cursor, APPEND_ONLY)),
            *(f"GRANT SELECT ON {name} TO {to}" for name in _present(cursor, READ_ONLY)),
        ):
            cursor.execute(statement)
        for function in _functions(cursor):
            cursor.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
            cursor.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {to}")
        return OWNS.format(role=role) if owns_trail(cursor, role) else ""


def owns_trail(cursor: Any, role: str) -> bool:
    """Whether the role may do anything to the change table: it owns it, is a member of who does, or a
    superuser."""
    cursor.execute(
        "SELECT coalesce(bool_or(pg_has_role(%s, c.relowner, 'MEMBER')), false)"
        " FROM pg_class c WHERE c.oid = to_regclass('core_change')",
        [role],
    )
    return bool(cursor.fetchone()[0])


def note_retention() -> None:
    """Write down what CHANGE_DAYS is, where that is new: the database deletes no change that is younger."""
    with transaction.atomic(), connections["default"].cursor() as cursor:
        if _present(cursor, ("core_changeretention",)):
            cursor.execute(
                "INSERT INTO core_changeretention (days) SELECT %s"
                " WHERE %s IS DISTINCT FROM (SELECT days FROM core_changeretention ORDER BY id DESC LIMIT 1)",
                [conf.CHANGE_DAYS] * 2,
            )


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
