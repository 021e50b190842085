"""Who may see and change what. Everything that serves a record to a user asks here."""

from core.access.attached import AttachedPolicy
from core.access.policies import (
    NOTHING,
    TEAM_REACH,
    AdminPolicy,
    AutomationPolicy,
    OwnershipPolicy,
    OwnPolicy,
    PeoplePolicy,
    Policy,
    PrivateOrSharedPolicy,
    ReadAllPolicy,
    RoleRightsPolicy,
)
from core.access.querysets import VisibleManager, VisibleQuerySet
from core.access.roles import Permission, Role, can_change_records, role_allows, role_of
from core.access.shares import shared_with

__all__ = [
    "NOTHING",
    "TEAM_REACH",
    "AdminPolicy",
    "AttachedPolicy",
    "AutomationPolicy",
    "OwnPolicy",
    "OwnershipPolicy",
    "PeoplePolicy",
    "Permission",
    "Policy",
    "PrivateOrSharedPolicy",
    "ReadAllPolicy",
    "Role",
    "RoleRightsPolicy",
    "VisibleManager",
    "VisibleQuerySet",
    "can_change_records",
    "role_allows",
    "role_of",
    "shared_with",
]
