"""Activities, comments and follows for tests: `ActivityFactory(record=lead)`."""

import factory
from factory.django import DjangoModelFactory

from core.accounts.tests.factories import UserFactory
from core.activities.models import Activity, Comment, Follow


class OnRecordFactory(DjangoModelFactory):
    """What hangs on a record, which is given as `record` or by its entity's name and its id."""

    class Meta:
        abstract = True

    class Params:
        record = None

    entity = factory.LazyAttribute(lambda made: made.record.entity_name)
    object_id = factory.LazyAttribute(lambda made: made.record.pk)


class ActivityFactory(OnRecordFactory):
    class Meta:
        model = Activity

    type = Activity.Type.CALL
    subject = "Called"


class CommentFactory(OnRecordFactory):
    class Meta:
        model = Comment

    body = "As agreed."


class FollowFactory(OnRecordFactory):
    class Meta:
        model = Follow

    user = factory.SubFactory(UserFactory)
