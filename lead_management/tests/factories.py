"""Leads for tests."""

import factory
from factory.django import DjangoModelFactory

from lead_management.models import Lead


class LeadFactory(DjangoModelFactory):
    class Meta:
        model = Lead

    first_name = factory.Sequence(lambda n: f"Lead {n}")
