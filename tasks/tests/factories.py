"""Tasks for tests."""

import factory
from factory.django import DjangoModelFactory

from tasks.models import Task


class TaskFactory(DjangoModelFactory):
    class Meta:
        model = Task

    title = factory.Sequence(lambda n: f"Task {n}")
