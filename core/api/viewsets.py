"""The strong base: every entity's viewset is this one with its entity named and its own verbs added."""

from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request
from rest_framework.viewsets import ViewSet

from core.access import Action
from core.api.parameters import only_known
from core.api.permissions import PolicyPermission
from core.api.records import BulkMixin, ReadMixin, StoryMixin, WriteMixin
from core.api.schema import CrmSchema, EntitySchema
from core.api.transactions import TransactionMixin


class CrmViewSet(TransactionMixin, ViewSet):
    """Base of all our viewsets: authenticated, asked of the policy, writing in one transaction."""

    permission_classes = [PolicyPermission]
    schema = CrmSchema()
    # Names of own routes → the action their policy is asked for; others follow the method.
    access: Mapping[str, str] = {}


SHAPE = {"fields", "expand"}
# Query parameters of what is no list; lists and an entity's own verbs look at theirs themselves.
PARAMETERS: dict[str, set[str]] = {
    "create": SHAPE | {"on_duplicate"},
    "retrieve": SHAPE | {"archived"},
    "update": SHAPE,
    "partial_update": SHAPE,
    "restore": SHAPE,
    "destroy": {"hard", "archived"},
    "history": {"page", "page_size"},
    "follow": set(),
    "bulk_update": set(),
    "assign": set(),
}


class EntityViewSet(ReadMixin, WriteMixin, BulkMixin, StoryMixin, CrmViewSet):
    """List, create, retrieve, update, archive, restore, delete, bulk, history, follow, statistics."""

    schema = EntitySchema()
    access = {
        "follow": Action.VIEW,
        "bulk_update": Action.CHANGE,
        "assign": Action.CHANGE,
        "restore": Action.CHANGE,
    }

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.action in PARAMETERS:
            only_known(request, PARAMETERS[self.action])
