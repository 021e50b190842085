"""`Model.objects.visible_to(user, action)`: the one way a user reaches rows."""

from collections.abc import Callable
from typing import Any, Self

from django.db import models

from core.access.roles import Permission


class VisibleQuerySet(models.QuerySet):
    """A queryset of a model that has a `policy`."""

    model: Any
    # The rows and the conditions whose union this queryset is, where `visible_to` was the last that was asked
    # of it: such parts have indexes of their own, which an OR over them has not.
    union_of: "Callable[[], tuple[Self, list[models.Q]]] | None" = None

    def visible_to(self, user: Any, action: str = Permission.VIEW) -> Self:
        """The rows on which `user` may do `action`; none when their role lacks it."""
        policy = self.model.policy
        found = self.filter(policy.scope(user, action))
        found.union_of = lambda: (self, policy.branches(user, action))
        return found

    @property
    def parts(self) -> "list[Self]":
        """Querysets whose union this one is."""
        rows, conditions = self.union_of() if self.union_of else (self, [])
        return [rows.filter(part) for part in conditions] if len(conditions) > 1 else [self]


VisibleManager = models.Manager.from_queryset(VisibleQuerySet)
