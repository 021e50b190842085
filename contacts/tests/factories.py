"""Companies and contacts for tests."""

import factory
from factory.django import DjangoModelFactory

from contacts.models import Company, Contact


class CompanyFactory(DjangoModelFactory):
    class Meta:
        model = Company

    name = factory.Sequence(lambda n: f"Company {n}")


class ContactFactory(DjangoModelFactory):
    class Meta:
        model = Contact

    first_name = factory.Sequence(lambda n: f"Contact {n}")
