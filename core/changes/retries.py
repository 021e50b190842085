"""What a consumer could not take: kept, tried again ever more seldom, given up in the end but not lost."""

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import QuerySet
from django.utils import timezone

from core.changes.models import FailedFeed

if TYPE_CHECKING:
    from core.changes.dispatch import ChangeBatch

TAKEN = 20
MAX_ATTEMPTS = 10
FIRST_PAUSE_S = 5
ERROR_LENGTH = 500


def pause(attempts: int) -> timedelta | None:
    """How long to wait after so many attempts: 5 s, 15 s, 45 s … about 9 hours; None when it is enough."""
    return timedelta(seconds=FIRST_PAUSE_S * 3 ** (attempts - 1)) if attempts < MAX_ATTEMPTS else None


def put_aside(consumer: str, batch: "ChangeBatch", attempts: int, error: Exception) -> None:
    """Keep the batch for the consumer's next try."""
    wait = pause(attempts)
    FailedFeed.objects.create(
        consumer=consumer,
        entity=batch.entity,
        automation=batch.automation,
        change_ids=batch.ids,
        attempts=attempts,
        due_at=timezone.now() + wait if wait else None,
        error=f"{type(error).__name__}: {error}".replace("\x00", "")[:ERROR_LENGTH],
    )


def due() -> QuerySet[FailedFeed]:
    return FailedFeed.objects.filter(due_at__lte=timezone.now())


def take() -> list[FailedFeed]:
    """Some that are due, oldest first, out of the table: who takes them feeds them in this transaction."""
    rows = list(due().order_by("id")[:TAKEN])
    FailedFeed.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return rows
