"""Rules about duplicates for tests."""

import factory
from factory.django import DjangoModelFactory

from core.entities.models import DuplicateRule


class DuplicateRuleFactory(DjangoModelFactory):
    """Leads with the same e-mail address are refused."""

    class Meta:
        model = DuplicateRule

    name = factory.Sequence(lambda n: f"Rule {n}")
    entity = "lead"
    compare = "email"
    on_create = "refuse"
