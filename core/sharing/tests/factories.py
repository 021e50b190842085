"""Shares for tests."""

import factory
from factory.django import DjangoModelFactory

from core.sharing.models import Share


class ShareFactory(DjangoModelFactory):
    """`ShareFactory(record=lead, user=ada)`, or `team=`; to be read, unless `access="write"`."""

    class Meta:
        model = Share

    class Params:
        record = None

    entity = factory.LazyAttribute(lambda share: share.record.entity_name)
    object_id = factory.LazyAttribute(lambda share: share.record.pk)
