"""`Model.objects.visible_to(user, action)`: the one way a user reaches rows."""

from typing import Any, Self

from django.db import models

from core.access.roles import Permission


class VisibleQuerySet(models.QuerySet):
    """A queryset of a model that has a `policy`."""

    def visible_to(self, user: Any, action: str = Permission.VIEW) -> Self:
        """The rows on which `user` may do `action`; none when their role lacks it."""
        return self.filter(self.model.policy.scope(user, action))


VisibleManager = models.Manager.from_queryset(VisibleQuerySet)
