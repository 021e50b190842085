"""What a role may not see, and not change, of the fields of entities.

The rights of a user come with the user: the statements that sign somebody in read them beside the role
(`WORDS`), so that a request needs no statement of its own for them, and a right counts from the next request
on, in every process. Whoever was read in another way has them looked up once.

`Entity.for_user` is where they take effect: what it gives is the entity without the fields that are hidden.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.postgres.expressions import ArraySubquery
from django.db import models
from django.db.models import F, OuterRef, QuerySet, Value
from django.db.models.functions import Concat, Now
from django.utils.translation import gettext_lazy

from core.access import Role, RoleRightsPolicy, VisibleManager, role_of
from core.models.capture import captured
from core.models.fields import choice


class FieldRight(models.Model):
    """That a role may not see a field of an entity (`hidden`), or see it and not change it (`read_only`).

    `field` is one of the entity's own or `custom_fields.<key>`. Administrators are never limited. What can be
    limited is checked by core.entities.limiting.
    """

    class Access(models.TextChoices):
        HIDDEN = "hidden", gettext_lazy("Hidden")
        READ_ONLY = "read_only", gettext_lazy("Read Only")

    policy = RoleRightsPolicy()

    role = models.CharField(max_length=20, choices=Role.choices)
    entity = models.CharField(max_length=40)
    field = models.CharField(max_length=80)
    access = choice(Access.choices, Access.HIDDEN)
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    objects = VisibleManager()

    class Meta:
        ordering = ["role", "entity", "field"]
        constraints = [models.UniqueConstraint(fields=["role", "entity", "field"], name="field_right_unique")]
        triggers = captured("field_right", untracked=("created_at", "updated_at"))

    def __str__(self) -> str:
        return f"{self.role}: {self.entity}.{self.field} {self.access}"


HIDDEN, READ_ONLY = FieldRight.Access.HIDDEN, FieldRight.Access.READ_ONLY
# Where a user's instance holds its rights as they were read: "access entity field" each.
WORDS = "field_right_words"
_KEPT = "_field_rights"


@dataclass(frozen=True)
class FieldRights:
    """The fields, as (entity, field), that are hidden and those that may be read alone."""

    hidden: frozenset[tuple[str, str]] = frozenset()
    read_only: frozenset[tuple[str, str]] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.hidden or self.read_only)

    def hidden_in(self, entity: str) -> frozenset[str]:
        return frozenset(field for name, field in self.hidden if name == entity)

    def read_only_in(self, entity: str) -> frozenset[str]:
        return frozenset(field for name, field in self.read_only if name == entity)


UNLIMITED = FieldRights()


def rights_of(user: Any) -> FieldRights:
    """The rights in force for a user. The system (None) and administrators are never limited."""
    if user is None or not getattr(user, "role", "") or role_of(user) == Role.ADMIN:
        return UNLIMITED
    # A lazy object hands attributes on to the user behind it.
    found: FieldRights | None = getattr(user, _KEPT, None)
    if found is None:
        words = getattr(user, WORDS, None)
        found = read(_words_of_role(user.role) if words is None else words)
        setattr(user, _KEPT, found)
    return found


def read(words: Iterable[str]) -> FieldRights:
    """The rights that a user was read with."""
    found: dict[str, set[tuple[str, str]]] = {HIDDEN: set(), READ_ONLY: set()}
    for word in words:
        access, entity, field = word.split(" ", 2)
        found[access].add((entity, field))
    if not any(found.values()):
        return UNLIMITED
    return FieldRights(frozenset(found[HIDDEN]), frozenset(found[READ_ONLY]))


def words_of(role: str) -> ArraySubquery:
    """An annotation for rows that have a user: the rights of the role in the column `role`."""
    return ArraySubquery(_written(FieldRight.objects.filter(role=OuterRef(role))))


def _words_of_role(role: str) -> list[str]:
    return list(_written(FieldRight.objects.filter(role=role)))


def _written(rights: QuerySet) -> QuerySet:
    word = Concat(F("access"), Value(" "), F("entity"), Value(" "), F("field"))
    return rights.order_by().values_list(word, flat=True)


# The same as `words_of` in SQL, for the statement that is part of every request.
WORDS_SQL = (
    "(SELECT array_agg(r.access || ' ' || r.entity || ' ' || r.field) FROM core_fieldright r"
    " WHERE r.role = {role})"
)


def hides(entity: Any, field: str, user: str) -> str:
    """The SQL condition that a field is hidden from a user (an alias of the users' table)."""
    fields = ", ".join(f"'{name}'" for name in entity.coupled_with(field))
    return (
        f"(NOT {user}.is_superuser AND EXISTS (SELECT 1 FROM core_fieldright f WHERE f.role = {user}.role"  # noqa: S608
        f" AND f.entity = '{entity.name}' AND f.field IN ({fields}) AND f.access = '{HIDDEN}'))"
    )


def of_users(user_ids: Iterable[int]) -> dict[int, FieldRights]:
    """The rights in force for many users, in one query."""
    users = get_user_model().objects.filter(pk__in=set(user_ids)).annotate(**{WORDS: words_of("role")})
    return {user.pk: rights_of(user) for user in users}
