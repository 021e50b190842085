"""Whom an announcement may go to."""

from collections.abc import Mapping

# Recipients of announcements: SQL that gives user_id for the record r, of the entity %(entity)s.
RECIPIENTS: Mapping[str, str] = {
    "followers": "SELECT f.user_id FROM core_follow f WHERE f.entity = %(entity)s AND f.object_id = r.id",
    "owner": "SELECT r.owner_id AS user_id",
    "assignee": "SELECT r.assigned_to_id AS user_id",
    # Managers of the nearest team that has any: the owner's own, else the one above it, and so on.
    "owners_managers": """
        SELECT m.id AS user_id FROM (
            WITH RECURSIVE above (id, parent_id, level) AS (
                SELECT t.id, t.parent_id, 0 FROM core_team t JOIN core_user o ON o.team_id = t.id
                WHERE o.id = r.owner_id
                UNION ALL SELECT t.id, t.parent_id, a.level + 1
                FROM core_team t JOIN above a ON a.parent_id = t.id WHERE a.level < 50
            )
            SELECT m.id, a.level, min(a.level) OVER () AS nearest FROM above a
            JOIN core_user m ON m.team_id = a.id AND m.role = 'manager' AND m.is_active
        ) m WHERE m.level = m.nearest
    """,
}
