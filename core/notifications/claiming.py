"""Claims due deliveries by one statement, and releases them again."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from core.notifications.models import Delivery

BATCH = 20
LEASE = timedelta(seconds=90)
_CLAIM = """
UPDATE core_delivery SET due_at = clock_timestamp() + %(lease)s, fence = fence + 1, attempts = attempts + 1
WHERE id IN (SELECT id FROM core_delivery WHERE status = 'queued' AND due_at <= clock_timestamp()
             AND channel <> ALL(%(without)s) ORDER BY due_at, id LIMIT %(batch)s FOR UPDATE SKIP LOCKED)
RETURNING id
"""


def claim(without: Collection[str] = ()) -> list[int]:
    """Lease a batch of due deliveries, none by the channels `without`; returns their ids."""
    with connection.cursor() as cursor:
        given: dict[str, Any] = {"lease": LEASE, "batch": BATCH, "without": list(without)}
        cursor.execute(_CLAIM, given)
        return [row[0] for row in cursor.fetchall()]


def release(rows: list[Delivery]) -> None:
    """Let another worker claim these at once; they were not attempted."""
    for row in rows:
        untouched = Delivery.objects.filter(pk=row.pk, fence=row.fence)
        untouched.update(due_at=Now(), attempts=F("attempts") - 1)
