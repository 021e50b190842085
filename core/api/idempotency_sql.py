"""Claiming an Idempotency-Key."""

from django.db import connection

_CLAIM = """
INSERT INTO core_idempotencykey (user_id, route, key, fingerprint, status, body, headers, created_at)
VALUES (%s, %s, %s, %s, 0, ''::bytea, '{}', now())
ON CONFLICT (user_id, route, key) DO NOTHING RETURNING id
"""


def claim(user_id: int, route: str, key: str, mark: str) -> int | None:
    """The id of a new row, or None where the key is taken (waits for a running twin to end)."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [user_id, route, key, mark])
        row = cursor.fetchone()
    return row[0] if row else None
