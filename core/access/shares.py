"""Which things are shared with a user, in SQL: with themselves, or with their team or one above it.

The table is that of `core.sharing`. A share that has expired is none from that moment on.
"""

from typing import Any

from django.db.models import BooleanField, F, Func

from core.access.roles import Permission

# The one access of a share that lets its user change what is shared.
WRITE = "write"
LIVE = "(s.expires_at IS NULL OR s.expires_at > now())"
_TEAMS_ABOVE = (
    "WITH RECURSIVE above (id) AS (SELECT %s::bigint UNION"
    " SELECT t.parent_id FROM core_team t JOIN above a ON t.id = a.id WHERE t.parent_id IS NOT NULL)"
    " SELECT id FROM above"
)

# Whether anything may be shared with the user of a row of core_user: read along with who sends a request, so
# that whom nothing is shared with is asked nothing more. With a team: whether anything is with any.
MAY_HAVE_SHARES = (
    "(EXISTS (SELECT FROM core_share s WHERE s.user_id = core_user.id) OR core_user.team_id IS NOT NULL"
    " AND EXISTS (SELECT FROM core_share s WHERE s.team_id IS NOT NULL))"
)


class SharedWith(Func):
    """Whether the row's id is one of those shared with a user: `id = ANY(ARRAY(SELECT …))`.

    The ids are read once for a statement, by the shares' own indexes; the planner then looks them up by the
    primary key, or joins that with the indexes of owner and assignee, which an IN or EXISTS would lose.
    """

    template = "%(expressions)s"
    output_field = BooleanField()

    def __init__(self, entity: str, user_id: int, team_id: int | None, access: str = "") -> None:
        """`access`: shares of this access alone; "" for all."""
        super().__init__(F("pk"))
        self.entity, self.user_id, self.team_id, self.access = entity, user_id, team_id, access

    # Django's compilers call it like this, whatever its stubs say.
    def as_sql(  # type: ignore[override]
        self, compiler: Any, connection: Any, **extra: Any
    ) -> tuple[str, list[Any]]:
        column, params = compiler.compile(self.source_expressions[0])
        parts = [("s.user_id = %s", self.user_id)]
        if self.team_id is not None:
            parts.append((f"s.team_id IN ({_TEAMS_ABOVE})", self.team_id))
        selects = [self._select(condition) for condition, _ in parts]
        given = [value for _, whose in parts for value in (self.entity, whose, *self._asked)]
        return f"{column} = ANY(ARRAY({' UNION ALL '.join(selects)}))", [*params, *given]

    @property
    def _asked(self) -> list[str]:
        return [self.access] if self.access else []

    def _select(self, condition: str) -> str:
        access = " AND s.access = %s" if self.access else ""
        return f"SELECT s.object_id FROM core_share s WHERE s.entity = %s AND {condition} AND {LIVE}{access}"  # noqa: S608 (constants)


def shared_with(entity: str, user: Any, action: str) -> SharedWith | None:
    """The condition that a share gives `user` the right to `action`; None where none can.

    What authenticates a request may have found out that nothing is shared with its user.
    """
    if action not in (Permission.VIEW, Permission.CHANGE) or not getattr(user, "may_have_shares", True):
        return None
    return SharedWith(entity, user.pk, user.team_id, WRITE if action == Permission.CHANGE else "")


def is_shared(entity: str, record: str, user: str, access: str = "") -> str:
    """The SQL condition that the record (an alias) is shared with the user (an alias of the users' table).
    Its statement begins with TEAM_REACH."""
    asked = f" AND s.access = '{access}'" if access else ""
    return (
        f"EXISTS (SELECT FROM core_share s WHERE s.entity = '{entity}' AND s.object_id = {record}.id"  # noqa: S608 (constants)
        f" AND {LIVE}{asked} AND (s.user_id = {user}.id OR EXISTS ("
        f"SELECT FROM team_reach tr WHERE tr.root = s.team_id AND tr.id = {user}.team_id)))"
    )
