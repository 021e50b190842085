"""Users and teams for tests."""

from typing import Any

import factory
from factory.django import DjangoModelFactory

from core.access import Role
from core.accounts.models import Team, User

PASSWORD = "correct horse battery"


class TeamFactory(DjangoModelFactory):
    class Meta:
        model = Team

    name = factory.Sequence(lambda n: f"Team {n}")


class UserFactory(DjangoModelFactory):
    """A sales rep who can sign in with PASSWORD; `manager=True` and the like give another role."""

    class Meta:
        model = User

    class Params:
        admin = factory.Trait(role=Role.ADMIN)
        manager = factory.Trait(role=Role.MANAGER)
        viewer = factory.Trait(role=Role.VIEWER)

    role = Role.REP
    username = factory.LazyAttributeSequence(lambda user, n: f"{user.role}{n}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@crm.example")
    password = PASSWORD

    @classmethod
    def _create(cls, model_class: type[User], *args: Any, **fields: Any) -> User:
        return model_class.objects.create_user(*args, **fields)
