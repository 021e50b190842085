"""Roles and what each may do at all; which rows is the policies' part."""

from typing import Any

from django.db import models


class Role(models.TextChoices):
    ADMIN = "admin", "Administrator"
    MANAGER = "manager", "Manager"
    REP = "rep", "Sales rep"
    VIEWER = "viewer", "Viewer"


class Permission(models.TextChoices):
    VIEW = "view"
    ADD = "add"
    CHANGE = "change"
    DELETE = "delete"
    HARD_DELETE = "hard_delete"
    # Saying whose it is: sharing it with others, or making somebody its owner or assignee.
    SHARE = "share"
    # Writing automation, e-mail templates and webhooks: its effects reach beyond one's own records.
    AUTOMATE = "automate"
    # Users, teams, pipelines, custom fields, models: what shapes the installation.
    CONFIGURE = "configure"


_EDIT = {Permission.VIEW, Permission.ADD, Permission.CHANGE, Permission.DELETE, Permission.SHARE}
ALLOWED: dict[str, set[Permission]] = {
    Role.ADMIN: set(Permission),
    Role.MANAGER: _EDIT | {Permission.AUTOMATE},
    Role.REP: _EDIT,
    Role.VIEWER: {Permission.VIEW},
}


def can_change_records() -> models.Q:
    """Active users whose role may change records at all: whoever work can be shared out among."""
    roles = [role for role, allowed in ALLOWED.items() if Permission.CHANGE in allowed]
    return models.Q(is_active=True) & (models.Q(role__in=roles) | models.Q(is_superuser=True))


def role_of(user: Any) -> str:
    """The role in force: superusers are administrators; who is not signed in or is inactive has none ("")."""
    if not getattr(user, "is_authenticated", False) or not user.is_active:
        return ""
    return Role.ADMIN if user.is_superuser else user.role


def role_allows(user: Any, action: str) -> bool:
    """Whether the user's role has this action at all, whatever the record."""
    return action in ALLOWED.get(role_of(user), ())
