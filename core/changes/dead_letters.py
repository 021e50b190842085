"""What a consumer could not take: kept, tried again ever more seldom, given up in the end but not lost."""

from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from core.changes.batch import ChangeBatch
from core.changes.models import FailedDispatch

TAKEN = 20
MAX_ATTEMPTS = 10
FIRST_PAUSE_S = 5
ERROR_LENGTH = 500


def pause(attempts: int) -> timedelta | None:
    """How long to wait after so many attempts: 5 s, 15 s, 45 s … about 9 hours; None when it is enough."""
    return timedelta(seconds=FIRST_PAUSE_S * 3 ** (attempts - 1)) if attempts < MAX_ATTEMPTS else None


def store(consumer: str, batch: ChangeBatch, attempts: int, error: Exception) -> None:
    """Keep the batch for the consumer's next try."""
    wait = pause(attempts)
    FailedDispatch.objects.create(
        consumer=consumer,
        entity=batch.entity,
        automation=batch.automation,
        change_ids=batch.ids,
        attempts=attempts,
        due_at=timezone.now() + wait if wait else None,
        error=f"{type(error).__name__}: {error}".replace("\x00", "")[:ERROR_LENGTH],
    )


def due() -> QuerySet[FailedDispatch]:
    return FailedDispatch.objects.filter(due_at__lte=timezone.now())


def claim() -> list[FailedDispatch]:
    """Some that are due, oldest first, out of the table: who takes them feeds them in this transaction."""
    rows = list(due().order_by("id")[:TAKEN])
    FailedDispatch.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return rows
