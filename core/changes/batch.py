"""What consumers of changes are given."""

from dataclasses import dataclass, field, replace

from django.db.models import F, QuerySet

from core.changes.expressions import EqualsAny
from core.changes.models import Change


@dataclass(frozen=True)
class ChangeBatch:
    """Changes of one entity, in order, from writers who did or did not want automation."""

    entity: str
    automation: bool
    ids: list[int] = field(repr=False)

    @property
    def changes(self) -> QuerySet[Change]:
        """The change rows, in the order they were made."""
        return Change.objects.filter(EqualsAny(F("id"), self.ids)).order_by("id")

    def halves(self) -> "tuple[ChangeBatch, ChangeBatch]":
        middle = len(self.ids) // 2
        return replace(self, ids=self.ids[:middle]), replace(self, ids=self.ids[middle:])
