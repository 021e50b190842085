"""A policy answers one question: which rows of a model may this user see, change, delete?

It answers as a Q, so that lists, bulk changes, exports, statistics and single records obey one sentence.
"""

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q

from core.access.roles import ALLOWED, Permission, Role, role_allows, role_of
from core.access.shares import WRITE, is_shared, shared_with

EVERYTHING = Q()
NOTHING = Q(pk__in=[])


class Policy:
    """Deny by default. Subclasses give `rows`; `scope` puts the role's own limits before it."""

    def scope(self, user: Any, action: str = Permission.VIEW) -> Q:
        """The rows of `action` for `user`; NOTHING when the role lacks the action."""
        return self.rows(user, action) if role_allows(user, action) else NOTHING

    def rows(self, user: Any, action: str) -> Q:
        return NOTHING

    def branches(self, user: Any, action: str = Permission.VIEW) -> list[Q]:
        """`scope` as parts whose union it is: counting them one by one may cost less than their OR."""
        return [self.scope(user, action)]

    def allows(self, user: Any, action: str) -> bool:
        """Whether the user's role may do `action` on some row at all (403 otherwise)."""
        return role_allows(user, action)

    def viewers(self, record: str, user: str, action: str = Permission.VIEW) -> str:
        """The other way round, for many users at once: the SQL condition that the user (an alias of the
        users' table) may do `action` on the record (an alias of the model's), or see it. Its statement begins
        with TEAM_REACH."""
        return "false"


# Every team with those below it, for `viewers`.
TEAM_REACH = (
    "WITH RECURSIVE team_reach (root, id) AS (SELECT id, id FROM core_team UNION"
    " SELECT r.root, t.id FROM team_reach r JOIN core_team t ON t.parent_id = r.id)"
)
_OWNERSHIP_VIEWERS = f"""
({{user}}.is_active AND ({{user}}.is_superuser OR {{user}}.role = '{Role.ADMIN}'
  OR ({{user}}.role IN ({{roles}}) AND (
    {{owner}} = {{user}}.id OR {{assignee}} = {{user}}.id
    OR ({{user}}.role IN ('{Role.MANAGER}', '{Role.VIEWER}') AND EXISTS (
      SELECT 1 FROM team_reach tr JOIN core_user member ON member.team_id = tr.id
      WHERE tr.root = {{user}}.team_id AND member.id IN ({{owner}}, {{assignee}})))
    OR {{shared}}))))
"""  # noqa: S608 (constants)


def _roles_with(action: str) -> str:
    """The roles that have the action, as a list in SQL."""
    return ", ".join(f"'{role}'" for role, allowed in ALLOWED.items() if action in allowed)


class OwnershipPolicy(Policy):
    """Records with an owner and an assignee: the reach of the role decides, and whether a record of `entity`
    is shared with them or their team.

    admin: all; manager and viewer: whatever belongs to someone of their team or a team below it, and so an
    unassigned record through its owner; rep: what they own or are assigned. What is shared is seen and, with
    the access "write", changed as far as the role changes anything; deleting it, sharing it and giving it to
    somebody take ownership (`owns`).
    """

    def __init__(self, owner: str = "owner", assignee: str = "assigned_to", *, entity: str = "") -> None:
        self.fields, self.entity = (owner, assignee), entity

    def rows(self, user: Any, action: str) -> Q:
        return reduce(or_, self._parts(user, action))

    def branches(self, user: Any, action: str = Permission.VIEW) -> list[Q]:
        return self._parts(user, action) if role_allows(user, action) else [NOTHING]

    def viewers(self, record: str, user: str, action: str = Permission.VIEW) -> str:
        owner, assignee = (f"{record}.{name}_id" for name in self.fields)
        return _OWNERSHIP_VIEWERS.format(
            user=user,
            owner=owner,
            assignee=assignee,
            roles=_roles_with(action),
            shared=self._shared(record, user, action),
        )

    def owns(self, user: Any, record: Mapping[str, Any]) -> bool:
        """Whether `user` reaches the record (its values by column) by its owner or assignee, whatever is
        shared with them."""
        if role_of(user) == Role.ADMIN:
            return True
        reached = self._reached(user)
        return any(record[f"{field}_id"] in reached for field in self.fields)

    def gives_away(self, user: Any, before: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
        """Whether `values` (by column) would give the record `before` to somebody, and it is not the user's
        to give: it is only shared with them."""
        given = [name for field in self.fields if (name := f"{field}_id") in values]
        return any(values[name] != before[name] for name in given) and not self.owns(user, before)

    def _shared(self, record: str, user: str, action: str) -> str:
        if not self.entity or action not in (Permission.VIEW, Permission.CHANGE):
            return "false"
        return is_shared(self.entity, record, user, WRITE if action == Permission.CHANGE else "")

    def _parts(self, user: Any, action: str) -> list[Q]:
        """Those owned by whom the user reaches, those assigned to them, and those shared with the user."""
        if role_of(user) == Role.ADMIN:
            return [EVERYTHING]
        shared = shared_with(self.entity, user, action) if self.entity else None
        return [*self._owned(user), *([Q(shared)] if shared is not None else [])]

    def by_people(self, user: Any) -> Q:
        """The rows of `scope` that are the user's by owner or assignee. It reads nothing else, so that counts
        kept by these are asked by it too."""
        if not role_allows(user, Permission.VIEW):
            return NOTHING
        return EVERYTHING if role_of(user) == Role.ADMIN else reduce(or_, self._owned(user))

    def by_share(self, user: Any) -> Q:
        """The other rows of `scope`: those that are only shared with the user."""
        if not role_allows(user, Permission.VIEW) or role_of(user) == Role.ADMIN or not self.entity:
            return NOTHING
        shared = shared_with(self.entity, user, Permission.VIEW)
        return NOTHING if shared is None else Q(shared) & ~reduce(or_, self._owned(user))

    def _owned(self, user: Any) -> list[Q]:
        reached = self._reached(user)
        if len(reached) == 1:
            return [Q(**{f"{field}_id": reached[0]}) for field in self.fields]
        return [Q(**{f"{field}_id__in": reached}) for field in self.fields]

    def _reached(self, user: Any) -> list[int]:
        """Ids of the users whose records are the user's too."""
        return user.reach_ids() if role_of(user) in (Role.MANAGER, Role.VIEWER) else [user.pk]


class AutomationPolicy(OwnershipPolicy):
    """What acts in someone's name (workflows, webhooks): for who writes automation and reaches `principal`.

    Who changes one without being an administrator becomes the one it acts as, so nobody lends themselves
    another's rights. Nor does who wrote it see what it does once an administrator lets it act as another.
    """

    def __init__(self, principal: str) -> None:
        super().__init__(principal, principal)

    def _owned(self, user: Any) -> list[Q]:
        return super()._owned(user)[:1]

    def scope(self, user: Any, action: str = Permission.VIEW) -> Q:
        return self.rows(user, action) if self.allows(user, action) else NOTHING

    def branches(self, user: Any, action: str = Permission.VIEW) -> list[Q]:
        return super().branches(user, action) if self.allows(user, action) else [NOTHING]

    def allows(self, user: Any, action: str) -> bool:
        return role_allows(user, Permission.AUTOMATE)


class ReadAllPolicy(Policy):
    """Everyone signed in reads; `write` is the action that changing needs (colleagues, teams, pipelines)."""

    def __init__(self, write: str = Permission.CONFIGURE) -> None:
        self.write = write

    def rows(self, user: Any, action: str) -> Q:
        return EVERYTHING

    def scope(self, user: Any, action: str = Permission.VIEW) -> Q:
        return EVERYTHING if self.allows(user, action) else NOTHING

    def allows(self, user: Any, action: str) -> bool:
        return role_allows(user, Permission.VIEW if action == Permission.VIEW else self.write)

    def viewers(self, record: str, user: str, action: str = Permission.VIEW) -> str:
        roles = _roles_with(Permission.VIEW if action == Permission.VIEW else self.write)
        return f"({user}.is_active AND ({user}.is_superuser OR {user}.role IN ({roles})))"


class PeoplePolicy(ReadAllPolicy):
    """Users: everyone knows their colleagues, administrators change them, and superusers only superusers."""

    def scope(self, user: Any, action: str = Permission.VIEW) -> Q:
        found = super().scope(user, action)
        if action == Permission.VIEW or user.is_superuser:
            return found
        return found & Q(is_superuser=False)

    def details_of(self, user: Any) -> set[int] | None:
        """Ids of the users whose e-mail, role and sign-ins `user` may know; None for everyone's."""
        role = role_of(user)
        if role == Role.ADMIN:
            return None
        return {user.pk, *user.reach_ids()} if role == Role.MANAGER else {user.pk}


class AdminPolicy(Policy):
    """Seen and changed by those whose role has `action` (administrators, or whoever writes automation)."""

    def __init__(self, action: str = Permission.CONFIGURE) -> None:
        self.action = action

    def scope(self, user: Any, action: str = Permission.VIEW) -> Q:
        return EVERYTHING if self.allows(user, action) else NOTHING

    def allows(self, user: Any, action: str) -> bool:
        return role_allows(user, self.action)


class RoleRightsPolicy(Policy):
    """What is said of each role: everyone reads what concerns their own, administrators all, and alone change
    it."""

    def rows(self, user: Any, action: str) -> Q:
        role = role_of(user)
        return EVERYTHING if role == Role.ADMIN else Q(role=role)

    def scope(self, user: Any, action: str = Permission.VIEW) -> Q:
        return self.rows(user, action) if self.allows(user, action) else NOTHING

    def allows(self, user: Any, action: str) -> bool:
        return role_allows(user, Permission.VIEW if action == Permission.VIEW else Permission.CONFIGURE)


class OwnPolicy(Policy):
    """One's own alone, whatever the role: inbox, preferences, subscriptions."""

    def __init__(self, owner: str = "user") -> None:
        self.owner = owner

    def rows(self, user: Any, action: str) -> Q:
        return Q(**{self.owner: user.pk})

    def scope(self, user: Any, action: str = Permission.VIEW) -> Q:
        return self.rows(user, action) if role_allows(user, Permission.VIEW) else NOTHING

    def allows(self, user: Any, action: str) -> bool:
        return role_allows(user, Permission.VIEW)


class PrivateOrSharedPolicy(Policy):
    """One's own things, those shared with everyone, which only their owner (or an administrator) changes, and
    those of `entity` that are shared with oneself or one's team, which one changes if the share says so."""

    def __init__(self, owner: str = "owner", shared: str = "is_shared", *, entity: str) -> None:
        self.owner, self.shared, self.entity = owner, shared, entity

    def rows(self, user: Any, action: str) -> Q:
        found = Q(**{self.owner: user.pk})
        if action == Permission.VIEW or role_of(user) == Role.ADMIN:
            found |= Q(**{self.shared: True})
        shared = shared_with(self.entity, user, action)
        return found if shared is None else found | Q(shared)

    def scope(self, user: Any, action: str = Permission.VIEW) -> Q:
        # A viewer changes no records but keeps views of their own.
        return self.rows(user, action) if role_allows(user, Permission.VIEW) else NOTHING

    def allows(self, user: Any, action: str) -> bool:
        return role_allows(user, Permission.VIEW)
