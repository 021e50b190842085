"""Custom fields, saved views and field rights for tests."""

import factory
from factory.django import DjangoModelFactory

from core.accounts.tests.factories import UserFactory
from core.conditions.models import SavedView
from core.entities.field_rights import FieldRight
from core.entities.models import CustomField


class CustomFieldFactory(DjangoModelFactory):
    """A text field of leads, labelled after its key."""

    class Meta:
        model = CustomField

    entity = "lead"
    key = factory.Sequence(lambda n: f"field_{n}")
    label = factory.LazyAttribute(lambda field: field.key.replace("_", " ").capitalize())
    type = "text"


class SavedViewFactory(DjangoModelFactory):
    class Meta:
        model = SavedView

    owner = factory.SubFactory(UserFactory)
    entity = "lead"
    name = factory.Sequence(lambda n: f"View {n}")


class FieldRightFactory(DjangoModelFactory):
    """The phone numbers of leads, hidden from reps."""

    class Meta:
        model = FieldRight

    role = "rep"
    entity = "lead"
    field = "phone"
    access = "hidden"
