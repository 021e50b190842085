"""The tree of teams in SQL."""

from django.db import connection


def subtree_ids(team_id: int) -> list[int]:
    """The team and all teams below it, in one query."""
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE below AS (SELECT id FROM core_team WHERE id = %s"
            " UNION SELECT t.id FROM core_team t JOIN below ON t.parent_id = below.id) SELECT id FROM below",
            [team_id],
        )
        return [row[0] for row in cursor.fetchall()]
