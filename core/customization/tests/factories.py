"""Custom fields and saved views for tests."""

import factory
from factory.django import DjangoModelFactory

from core.accounts.tests.factories import UserFactory
from core.conditions.models import SavedView
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
