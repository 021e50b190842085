"""Who sees a record, and why: answered by the policy's own condition, which lists and rows obey too."""

from dataclasses import dataclass
from typing import Any

from django.db import connection

from core.access import TEAM_REACH, Permission, Role
from core.access.shares import LIVE
from core.entities.entity import Entity
from core.entities.reading import user_brief

# Of those who see a record so many are named.
NAMED = 500
# All of it is the policy's own and the models' names; values are parameters.
_STATEMENT = """
{reach}, asked AS (
    SELECT u.id, u.username, u.first_name, u.last_name, u.is_active, u.role, {viewers} AS sees,
        {changing} AS changes, u.is_superuser OR u.role = %(admin)s AS is_admin,
        coalesce(r.owner_id = u.id, false) AS owner, coalesce(r.assigned_to_id = u.id, false) AS assignee,
        u.role = ANY(%(leading)s) AND EXISTS (
            SELECT FROM team_reach tr JOIN core_user member ON member.team_id = tr.id
            WHERE tr.root = u.team_id AND member.id IN (r.owner_id, r.assigned_to_id)
        ) AS team,
        share.id AS share_id, share.access, share.expires_at, share.team_id, through.name AS team_name
    FROM core_user u JOIN {table} r ON r.id = %(record)s
    LEFT JOIN LATERAL (
        SELECT s.* FROM core_share s WHERE s.entity = %(entity)s AND s.object_id = r.id AND {live} AND (
            s.user_id = u.id OR EXISTS (
                SELECT FROM team_reach tr WHERE tr.root = s.team_id AND tr.id = u.team_id))
        ORDER BY s.access DESC, s.team_id NULLS FIRST, s.id LIMIT 1
    ) share ON true
    LEFT JOIN core_team through ON through.id = share.team_id
    WHERE %(user)s::bigint IS NULL OR u.id = %(user)s::bigint
)
SELECT asked.*, is_admin AS admin, count(*) OVER () AS found
FROM asked WHERE sees OR %(user)s::bigint IS NOT NULL ORDER BY username, id LIMIT %(limit)s
"""
SAYS = {
    "admin": "Administrators see every record.",
    "owner": "They own it.",
    "assignee": "It is assigned to them.",
    "team": "It belongs, or is assigned, to somebody of their team or of one below it.",
    "shared": "It is shared with them.",
    "shared_with_team": "It is shared with their team or with one above it.",
    "inactive": "They are deactivated.",
    "not_theirs": "They neither own it nor are they assigned, and a sales rep sees no other records.",
    "other_team": "Neither its owner nor its assignee is in their team or in one below it.",
}


@dataclass(frozen=True)
class Access:
    """What a user may do with a record, with the reasons (keys of SAYS) for seeing it or for not."""

    user: dict[str, Any]
    sees: bool
    changes: bool
    reasons: list[str]
    # The share that gives most, where there is one: its id, access and end, and the team that it is with.
    share: dict[str, Any] | None = None

    def shown(self) -> dict[str, Any]:
        reasons = [{"code": code, "message": SAYS[code]} for code in self.reasons]
        return {
            "user": self.user,
            "sees": self.sees,
            "changes": self.changes,
            "reasons": reasons,
            "share": self.share,
        }


def who_sees(entity: Entity, pk: int) -> tuple[list[Access], int]:
    """Those who see the record, by name: the first NAMED of them, and how many there are."""
    rows = _rows(entity, pk, None)
    return [_access(row) for row in rows], rows[0]["found"] if rows else 0


def access_of(entity: Entity, pk: int, user_id: int) -> Access:
    """Whether one user sees the record, and why or why not."""
    [row] = _rows(entity, pk, user_id)
    return _access(row)


def _rows(entity: Entity, pk: int, user_id: int | None) -> list[dict[str, Any]]:
    model = entity.model
    statement = _STATEMENT.format(
        reach=TEAM_REACH,
        viewers=model.policy.viewers("r", "u"),
        changing=model.policy.viewers("r", "u", Permission.CHANGE),
        table=model._meta.db_table,
        live=LIVE,
    )
    given: dict[str, Any] = {
        "record": pk,
        "entity": entity.name,
        "user": user_id,
        "admin": Role.ADMIN,
        "leading": [Role.MANAGER, Role.VIEWER],
        "limit": NAMED,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, given)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _access(row: dict[str, Any]) -> Access:
    reasons = [code for code in ("admin", "owner", "assignee", "team") if row[code]]
    share = _share(row) if row["sees"] and row["share_id"] else None
    if share is not None:
        reasons.append("shared_with_team" if share["team"] else "shared")
    sees = bool(row["sees"])
    return Access(user_brief(row), sees, bool(row["changes"]), reasons if sees else [_why_not(row)], share)


def _share(row: dict[str, Any]) -> dict[str, Any]:
    team = {"id": row["team_id"], "name": row["team_name"]} if row["team_id"] else None
    return {"id": row["share_id"], "access": row["access"], "expires_at": row["expires_at"], "team": team}


def _why_not(row: dict[str, Any]) -> str:
    if not row["is_active"]:
        return "inactive"
    return "not_theirs" if row["role"] == Role.REP else "other_team"
