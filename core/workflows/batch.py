"""What steps that are taken together read: each record, person and reference once for all of them.

Everything here lasts for one transaction at most. What a principal may see and change is asked in it, so a
role that was changed counts from the next one on.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from core.accounts.models import User
from core.entities import writing
from core.entities.lookups import Lookups
from core.entities.reading import Reader


class UserCache:
    """Users by id, inactive ones too."""

    def __init__(self) -> None:
        self._found: dict[int, User | None] = {}

    def get(self, pk: int | None) -> User | None:
        return self.find([pk] if pk else []).get(pk or 0)

    def find(self, pks: Iterable[int]) -> dict[int, User]:
        """Those of `pks` that exist."""
        wanted = set(pks)
        new = wanted - self._found.keys()
        if new:
            self._found |= dict.fromkeys(new) | User.objects.in_bulk(new)
        return {pk: user for pk in wanted if (user := self._found[pk])}

    def active(self, pks: Iterable[int]) -> list[int]:
        """The ids of those who are active, in order of ids."""
        return sorted(pk for pk, user in self.find(pks).items() if user.is_active)


class TransactionCache:
    """What stays the same for one principal in one transaction."""

    def __init__(self, user: User | None) -> None:
        self.user, self.users, self.lookups = user, UserCache(), Lookups(user)

    @cached_property
    def _known(self) -> set[int] | None:
        return None if self.user is None else User.policy.details_of(self.user)

    def knows_email_of(self, user_id: int) -> bool:
        """Whether the principal may see this user's e-mail address; the system may see everyone's."""
        return self._known is None or user_id in self._known


class RecordBatch:
    """The records of runs that are at the same step, as their principal sees them before it.

    `names` are the columns that somebody asks for, None stands for all.
    """

    def __init__(
        self,
        entity: Any,
        pks: Sequence[int],
        cache: TransactionCache,
        names: Iterable[str] | None = None,
    ) -> None:
        self.entity, self.pks, self.cache, self.names = entity, pks, cache, names
        self._locked: dict[int, Any] = {}

    @property
    def visible(self) -> Any:
        """What the principal sees, as a queryset."""
        user = self.cache.user
        return self.entity.model.objects.all() if user is None else self.entity.visible_to(user)

    @cached_property
    def _rows(self) -> dict[int, dict[str, Any]]:
        fields = [] if self.names is None else [n for n in self.entity.by_name if n in self.names]
        rows = self.visible.filter(pk__in=self.pks).order_by()
        return {row["id"]: row for row in Reader(self.entity, fields=fields).rows(rows, self.cache.user)}

    def row(self, pk: int | None) -> dict[str, Any] | None:
        """The record by public names; None where the principal does not see it."""
        return self._rows.get(pk or 0) if self.entity else None

    def lock(self) -> None:
        """Lock every record that will be changed."""
        if self.entity is not None:
            self._locked = writing.locked_many(self.entity, self.pks, self.cache.user)

    def locked(self, pk: int) -> Any:
        """The record under its row's lock. Raises NotVisibleError, ForbiddenError."""
        found = self._locked.pop(pk, None)
        return found if found is not None else writing.locked(self.entity, pk, self.cache.user)
