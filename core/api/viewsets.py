"""The strong base: every entity's viewset is this one with its entity named and its own verbs added."""

from collections.abc import Mapping

from rest_framework.viewsets import ViewSet

from core.access import Action
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


class EntityViewSet(ReadMixin, WriteMixin, BulkMixin, StoryMixin, CrmViewSet):
    """List, create, retrieve, update, archive, restore, delete, bulk, history, follow, statistics."""

    schema = EntitySchema()
    access = {
        "follow": Action.VIEW,
        "bulk_update": Action.CHANGE,
        "assign": Action.CHANGE,
        "restore": Action.CHANGE,
    }
