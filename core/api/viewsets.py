"""The strong base: every entity's viewset is this one with its entity named and its own verbs added."""

from collections.abc import Collection, Mapping

from rest_framework.viewsets import ViewSet

from core.access import Permission
from core.api.parameters import PAGES, KnownParametersMixin
from core.api.permissions import PolicyPermission
from core.api.records import BulkMixin, HistoryMixin, ReadMixin, WriteMixin
from core.api.schema import CrmSchema, EntitySchema
from core.api.transactions import TransactionMixin


class CrmViewSet(KnownParametersMixin, TransactionMixin, ViewSet):
    """Base of all our viewsets: authenticated, asked of the policy, writing in one transaction."""

    permission_classes = [PolicyPermission]
    schema = CrmSchema()
    # Names of own routes → the action their policy is asked for; others follow the method.
    access: Mapping[str, str] = {}


SHAPE = {"fields", "expand"}
# None: what takes the list's filters looks at its query itself.
TAKING: dict[str, Collection[str] | None] = {
    **dict.fromkeys(("list", "statistics")),
    "create": SHAPE | {"on_duplicate"},
    "retrieve": SHAPE | {"archived"},
    "update": SHAPE,
    "partial_update": SHAPE,
    "restore": SHAPE,
    "destroy": {"hard", "archived"},
    "history": PAGES,
}


class EntityViewSet(ReadMixin, WriteMixin, BulkMixin, HistoryMixin, CrmViewSet):
    """List, create, retrieve, update, archive, restore, delete, bulk, history, statistics."""

    schema = EntitySchema()
    access = {
        "bulk_update": Permission.CHANGE,
        "assign": Permission.CHANGE,
        "restore": Permission.CHANGE,
    }
    taking = TAKING
