"""The groups of an identity provider, and what they give here: a role by OIDC_ROLES, a team by OIDC_TEAMS.

A group is named there by its name or by its id at the provider, for sign-ins and over SCIM alike.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from django.conf import settings
from django.db.models.functions import Lower

from core.accounts.models import ProvisionedMember, Team

Given = TypeVar("Given")


def first_of(given: Mapping[str, Given], mine: Collection[Any]) -> Given | None:
    """What the first of these groups that is one of `mine` stands for."""
    return next((value for group, value in given.items() if group in mine), None)


def names_of(users: Collection[int]) -> defaultdict[int, set[str]]:
    """By user the names and ids of the groups that were pushed over SCIM."""
    found: defaultdict[int, set[str]] = defaultdict(set)
    rows = ProvisionedMember.objects.filter(user__in=users)
    for user, name, external_id in rows.values_list("user", "group__display_name", "group__external_id"):
        found[user] |= {name, external_id} - {""}
    return found


def teams() -> dict[str, int]:
    """By group the id of the team that it gives, where there is that team."""
    wanted = {group: name.lower() for group, name in settings.OIDC_TEAMS.items()}
    rows = Team.objects.alias(lowered=Lower("name")).filter(lowered__in=wanted.values())
    found = {name.lower(): pk for name, pk in rows.values_list("name", "pk")}
    return {group: found[name] for group, name in wanted.items() if name in found}
