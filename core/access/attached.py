"""The policy of what hangs on records of any kind: comments, activities."""

from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import Exists, OuterRef, Q

from core.access.policies import NOTHING, Policy
from core.access.roles import Permission, Role, role_of


class AttachedPolicy(Policy):
    """Seen by whoever sees the record that (`entity`, `object_id`) names; changed by its author or an
    administrator. `models` gives the models of records by entity name, once they are all loaded."""

    def __init__(self, models: Callable[[], Mapping[str, Any]], author: str = "author") -> None:
        self.models, self.author = models, author

    def rows(self, user: Any, action: str) -> Q:
        seen = NOTHING
        for name, model in self.models().items():
            seen |= Q(entity=name) & self._seen(model, user)
        if action == Permission.VIEW or role_of(user) == Role.ADMIN:
            return seen
        return seen & Q(**{self.author: user.pk})

    def _seen(self, model: Any, user: Any) -> Q:
        """Empty where the user sees every record, so that no record is looked up at all."""
        if not model.policy.scope(user):
            return Q()
        return Q(Exists(model.objects.visible_to(user).filter(pk=OuterRef("object_id"))))
