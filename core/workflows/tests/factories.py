"""Workflows for tests."""

import factory
from factory.django import DjangoModelFactory

from core.workflows.models import Workflow


class WorkflowFactory(DjangoModelFactory):
    """Active, started by hand, and without actions."""

    class Meta:
        model = Workflow

    name = factory.Sequence(lambda n: f"Workflow {n}")
    status = Workflow.Status.ACTIVE
    trigger_type = "manual"
    actions = factory.LazyFunction(list)
