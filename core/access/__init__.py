"""Who may see and change what. Everything that serves a record to a user asks here."""

from core.access.policies import (
    AdminPolicy,
    OwnershipPolicy,
    ParentPolicy,
    PeoplePolicy,
    Policy,
    PrivateOrSharedPolicy,
    ReadAllPolicy,
)
from core.access.querysets import VisibleManager, VisibleQuerySet
from core.access.roles import Action, Role, role_allows, role_of

__all__ = [
    "Action",
    "AdminPolicy",
    "OwnershipPolicy",
    "ParentPolicy",
    "PeoplePolicy",
    "Policy",
    "PrivateOrSharedPolicy",
    "ReadAllPolicy",
    "Role",
    "VisibleManager",
    "VisibleQuerySet",
    "role_allows",
    "role_of",
]
