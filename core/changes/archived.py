"""What is no more in the change table, for those who read it: they say so and do not quietly give less."""

from datetime import UTC, date, datetime
from typing import Any

from django.utils.translation import gettext as _

from core.changes.models import ChangeArchive
from core.entities import Entity
from core.entities.aliases import ids_of
from core.errors import InvalidError


def following(month: date) -> date:
    """The first day of the month after one."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def begin(month: date) -> datetime:
    """The moment at which a month begins."""
    return datetime(month.year, month.month, 1, tzinfo=UTC)


def newest() -> ChangeArchive | None:
    """The archive behind which the table begins."""
    return ChangeArchive.objects.first()


def kept_from() -> datetime | None:
    """The moment before which changes were archived; None where none were."""
    found = newest()
    return begin(following(found.month)) if found else None


def of_record(entity: Entity, pk: int) -> dict[str, Any]:
    """`archived_before` for the last page of a record's changes, where it is older than what is kept."""
    moment = kept_from()
    if moment is None:
        return {}
    older = entity.model._base_manager.filter(pk__in=ids_of(entity, pk), created_at__lt=moment)
    return {"archived_before": moment} if older.exists() else {}


def require_kept(moment: datetime, field: str) -> None:
    """Raise InvalidError where changes from a moment on are not all there any more."""
    kept = kept_from()
    if kept is not None and moment < kept:
        words = _("Changes before %(day)s were archived: nothing can be said about earlier days.")
        raise InvalidError.of(field, words % {"day": kept.date().isoformat()}, "archived")
