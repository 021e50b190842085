"""Roles and what each may do at all; which rows is the policies' part."""

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy


class Role(models.TextChoices):
    ADMIN = "admin", gettext_lazy("Administrator")
    MANAGER = "manager", gettext_lazy("Manager")
    REP = "rep", gettext_lazy("Sales rep")
    VIEWER = "viewer", gettext_lazy("Viewer")


class Permission(models.TextChoices):
    VIEW = "view", gettext_lazy("View")
    ADD = "add", gettext_lazy("Add")
    CHANGE = "change", gettext_lazy("Change")
    DELETE = "delete", gettext_lazy("Delete")
    HARD_DELETE = "hard_delete", gettext_lazy("Hard Delete")
    # Saying whose it is: sharing it with others, or making somebody its owner or assignee.
    SHARE = "share", gettext_lazy("Share")
    # Writing automation, e-mail templates and webhooks: its effects reach beyond one's own records.
    AUTOMATE = "automate", gettext_lazy("Automate")
    # Users, teams, pipelines, custom fields, models: what shapes the installation.
    CONFIGURE = "configure", gettext_lazy("Configure")


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
