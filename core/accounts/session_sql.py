"""Sessions in SQL: the one that a request comes with, and which one a new password leaves open."""

from functools import lru_cache

from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import Model

from core import prepared
from core.access.shares import MAY_HAVE_SHARES
from core.accounts.models import Session, User
from core.entities import field_rights


def live(session_id: int, user_id: int) -> Session | None:
    """The session with its user, and the user with the rights of their role, if both still hold; one query,
    which is part of every request."""
    with prepared.cursor(DEFAULT_DB_ALIAS) as cursor:
        cursor.execute(_live_statement(), [session_id, user_id])
        row = cursor.fetchone()
    if row is None:
        return None
    found = Session.from_db(connection.alias, _names(Session), row)
    *of_user, shares, rights = row[len(_names(Session)) :]
    found.user = User.from_db(connection.alias, _names(User), of_user)
    found.user.may_have_shares = shares
    setattr(found.user, field_rights.WORDS, rights or ())
    return found if found.is_live else None


@lru_cache(maxsize=1)
def _live_statement() -> str:
    """The join that `select_related` would make, once and not at each request: making it costs four times
    what running it does."""
    parts = [
        f'"{model._meta.db_table}"."{f.column}"'
        for model in (Session, User)
        for f in model._meta.concrete_fields
    ]
    sessions, users = Session._meta.db_table, User._meta.db_table
    rights = field_rights.WORDS_SQL.format(role=f"{users}.role")
    return (
        f"SELECT {', '.join(parts)}, {MAY_HAVE_SHARES}, {rights} FROM {sessions}"  # noqa: S608
        f" JOIN {users} ON {users}.id = {sessions}.user_id"
        f" WHERE {sessions}.id = %s AND {sessions}.user_id = %s"
    )


@lru_cache(maxsize=2)
def _names(model: type[Model]) -> list[str]:
    return [f.attname for f in model._meta.concrete_fields]


def keep(which: str) -> None:
    """Say which session a new password leaves open in this transaction: an id, "all", or "" for none."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('crm.kept_session', %s, true)", [which])
