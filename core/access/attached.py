"""The policy of what hangs on records of any kind: comments, activities."""

from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import Exists, OuterRef, Q

from core.access.policies import NOTHING, Policy
from core.access.roles import Permission, Role, role_of


class AttachedPolicy(Policy):
    """Seen by whoever sees the record that (`entity`, `object_id`) names; changed by its author or an
    administrator. `models` gives the models of records by entity name, once they are all loaded; `further`
    the table of further records, if there is one, and its foreign key: who sees one of these sees it too."""

    def __init__(
        self,
        models: Callable[[], Mapping[str, Any]],
        author: str = "author",
        further: Callable[[], tuple[Any, str]] | None = None,
    ) -> None:
        self.models, self.author, self.further = models, author, further

    def rows(self, user: Any, action: str) -> Q:
        seen = self._about_seen(user) | self._further_seen(user)
        if action == Permission.VIEW or role_of(user) == Role.ADMIN:
            return seen
        return seen & Q(**{self.author: user.pk})

    def _about_seen(self, user: Any) -> Q:
        """The rows that name a record which the user sees."""
        seen = NOTHING
        for name, model in self.models().items():
            seen |= Q(entity=name) & self._seen(model, user)
        return seen

    def _further_seen(self, user: Any) -> Q:
        """What is further about such a record; nothing more where the user sees every record."""
        if self.further is None or not any(model.policy.scope(user) for model in self.models().values()):
            return NOTHING
        table, holder = self.further()
        return Q(Exists(table._base_manager.filter(self._about_seen(user), **{holder: OuterRef("pk")})))

    def _seen(self, model: Any, user: Any) -> Q:
        """Empty where the user sees every record, so that no record is looked up at all."""
        if not model.policy.scope(user):
            return Q()
        return Q(Exists(model.objects.visible_to(user).filter(pk=OuterRef("object_id"))))
