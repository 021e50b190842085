"""The outbox in SQL: claiming its rows under their locks, and the changes that each stands for."""

from collections.abc import Sequence
from typing import NamedTuple

from django.db import connection


class OutboxRow(NamedTuple):
    """The changes of one statement that nobody was fed with yet: those from `min_id` to `max_id`."""

    id: int
    entity: str
    xid: int
    min_id: int
    max_id: int
    automation: bool


_COLUMNS = "o.id, o.entity, o.xid, o.min_id, o.max_id, o.automation"
_CLAIM = f"SELECT {_COLUMNS} FROM core_outbox o ORDER BY o.id LIMIT %(claim)s FOR UPDATE"  # noqa: S608
# Single changes whose record is in no statement of many that still waits before them: a person's change need
# not wait for an import, and the changes of one record keep their order.
_CLAIM_SINGLE = f"""
SELECT {_COLUMNS} FROM core_outbox o WHERE o.rows = 1 AND NOT EXISTS (
    SELECT 1 FROM core_change own
    JOIN core_change before ON before.entity = own.entity AND before.object_id = own.object_id
        AND before.id < own.id
    JOIN core_outbox waiting ON waiting.rows > 1 AND waiting.xid = before.xid
        AND waiting.entity = before.entity AND before.id BETWEEN waiting.min_id AND waiting.max_id
    WHERE own.id = o.min_id
) ORDER BY o.id LIMIT %(claim)s FOR UPDATE
"""  # noqa: S608 (constants)
_IDS = """
SELECT id FROM core_change WHERE xid = %s::text::xid8 AND id BETWEEN %s AND %s AND entity = %s
ORDER BY id LIMIT %s
"""


def claim(limit: int) -> list[OutboxRow]:
    """Up to `limit` rows in their order, locked until the transaction ends."""
    return _rows(_CLAIM, limit)


def claim_single_changes(limit: int) -> list[OutboxRow]:
    """The same of rows that stand for one change each, of records that nothing larger waits for."""
    return _rows(_CLAIM_SINGLE, limit)


def change_ids(row: OutboxRow, limit: int) -> list[int]:
    """Ids of the first `limit` changes that a row stands for, ascending."""
    with connection.cursor() as cursor:
        cursor.execute(_IDS, [str(row.xid), row.min_id, row.max_id, row.entity, limit])
        return [pk for (pk,) in cursor.fetchall()]


def delete(ids: Sequence[int]) -> None:
    """Delete rows whose changes were dispatched."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM core_outbox WHERE id = ANY(%s)", [list(ids)])


def oldest_age_s() -> float:
    """Age in seconds of the oldest undispatched change; 0 when there is none."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(extract(epoch FROM now() - min(at)), 0)::float8 FROM core_outbox")
        return cursor.fetchone()[0]


def _rows(statement: str, limit: int) -> list[OutboxRow]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"claim": limit})
        return [OutboxRow(*row) for row in cursor.fetchall()]
