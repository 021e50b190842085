"""Users as resources."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from scim2_models import (
    ConflictException,
    ForbiddenException,
    InvalidValueException,
    Meta,
    NotFoundException,
    Reference,
    UniquenessException,
)
from scim2_models.resources.user import Email, GroupMembership

from core.accounts import groups as given_by_groups
from core.accounts.hand_over import release_user
from core.accounts.models import ProvisionedMember, ProvisionedUser, User
from core.accounts.scim.filters import by_id
from core.accounts.scim.resources import ProvisionedName, ProvisionedPerson
from core.api.rendering import dumps

WRITTEN = {"username", "first_name", "last_name", "email"}


def rows() -> QuerySet[User]:
    """Everybody but those whom the identity provider has deleted, and who are no longer active here."""
    present = Q(is_active=True) | Q(provisioned__deleted_at=None)
    return User.objects.select_related("provisioned").filter(present)


def shown(users: Iterable[User]) -> list[ProvisionedPerson]:
    """The users with their groups, in one statement more."""
    users = list(users)
    members = ProvisionedMember.objects.filter(user__in=users).select_related("group").order_by("group_id")
    groups: dict[int, list[Any]] = defaultdict(list)
    for member in members:
        groups[member.user_id].append(member.group)
    return [_person(user, groups[user.pk]) for user in users]


def _person(user: User, groups: list[Any]) -> ProvisionedPerson:
    known = getattr(user, "provisioned", None)
    person = ProvisionedPerson(
        id=str(user.pk),
        external_id=(known.external_id if known else "") or None,
        user_name=user.username,
        name=ProvisionedName(given_name=user.first_name or None, family_name=user.last_name or None),
        active=user.is_active,
    )
    if user.email:
        # As it is stored, whether or not it would be accepted today.
        person.emails = [Email.model_construct(value=user.email, type=Email.Type.work, primary=True)]
    if groups:
        person.groups = [
            GroupMembership(
                value=str(g.pk), ref=Reference(f"Groups/{g.pk}"), display=g.display_name, type="direct"
            )
            for g in groups
        ]
    state = [
        *(user.pk, person.external_id, user.username, user.first_name, user.last_name, user.email),
        *(user.is_active, [(group.pk, group.display_name) for group in groups]),
    ]
    version = f'W/"{hashlib.sha256(dumps(state)).hexdigest()[:24]}"'
    person.meta = Meta(resource_type="User", created=user.date_joined, version=version)
    return person


def get(pk: str, *, lock: bool = False) -> ProvisionedPerson:
    return shown([_row(pk, lock=lock)])[0]


def _row(pk: str, *, lock: bool = False) -> User:
    found = rows()
    if lock:
        found = found.select_for_update(of=("self",))
    user = found.filter(by_id("pk")(pk)).first()
    if user is None:
        raise NotFoundException(detail=f"There is no user {pk[:40]}.")
    return user


def create(person: ProvisionedPerson, actor: User) -> ProvisionedPerson:
    """A new user, who signs in at the identity provider; one whom it had deleted comes back as who they were,
    known by its id for them, without the keys that they had. A name alone may have passed on to somebody."""
    if person.active is None:
        person.active = True
    deleted = Q(provisioned__external_id=person.external_id, provisioned__deleted_at__isnull=False)
    # Locked as it is read: who waited for another request finds them active, and is refused as a second one.
    gone = User.objects.select_for_update(of=("self",)).filter(deleted, is_active=False)
    user = gone.first() if person.external_id else None
    if user is None:
        user = User(role=settings.OIDC_DEFAULT_ROLE, is_staff=True, is_active=True)
        user.set_unusable_password()
        return _written(user, person, actor)
    _refuse_beyond(user)
    return _written(user, person, actor)


def update(person: ProvisionedPerson, actor: User) -> ProvisionedPerson:
    user = _row(person.id or "", lock=True)
    _refuse_beyond(user)
    return _written(user, person, actor)


def delete(pk: str, actor: User) -> None:
    """Deactivate, and answer as for one that there is not."""
    user = _row(pk, lock=True)
    _refuse_beyond(user)
    if user.is_active:
        _deactivate(user, actor)
    else:
        _revoke_keys(user)
    # Their groups would be pushed anew: nobody keeps what no group gives them.
    user.role = settings.OIDC_DEFAULT_ROLE if settings.OIDC_ROLES else user.role
    user.team_id = None if user.team_id in given_by_groups.teams().values() else user.team_id
    user.save(update_fields=["is_active", "role", "team"])
    ProvisionedMember.objects.filter(user=user).delete()
    ProvisionedUser.objects.update_or_create(user=user, defaults={"deleted_at": Now()})


def _deactivate(user: User, actor: User) -> None:
    """What is theirs stays with them until an administrator hands it over; what acts in their name is
    paused."""
    if user.pk == actor.pk:
        raise ForbiddenException(detail="An API key does not deactivate its own user.")
    release_user(user, force=True)
    user.is_active = False
    try:
        user.clean()
    except ValidationError as error:
        raise ConflictException(detail=error.messages[0]) from error
    _revoke_keys(user)


def _revoke_keys(user: User) -> None:
    """For good: whoever is active again makes new ones."""
    user.api_keys.filter(revoked_at=None).update(revoked_at=Now())


def _written(user: User, person: ProvisionedPerson, actor: User) -> ProvisionedPerson:
    # As `clean` would leave it, so that what is checked is what is stored.
    user.username = User.normalize_username((person.user_name or "").strip())
    user.first_name = (person.name.given_name if person.name else None) or ""
    user.last_name = (person.name.family_name if person.name else None) or ""
    user.email = _first(person.emails)
    external_id = person.external_id or ""
    if len(external_id) > 255:
        raise InvalidValueException(detail="externalId: at most 255 characters.")
    if user.is_active and person.active is False and user.pk:
        _deactivate(user, actor)
    elif person.active is not None:
        user.is_active = person.active
    try:
        # What is not SCIM's to write is not its to judge.
        user.clean_fields(exclude={f.name for f in User._meta.fields} - WRITTEN)
        user.clean()
    except ValidationError as error:
        said = "; ".join(f"{name}: {' '.join(texts)}" for name, texts in sorted(error.message_dict.items()))
        raise InvalidValueException(detail=said) from error
    _refuse_names_of_others(user)
    try:
        with transaction.atomic():
            user.save()
            ProvisionedUser.objects.update_or_create(
                user=user, defaults={"external_id": external_id, "deleted_at": None}
            )
    except IntegrityError as error:
        raise UniquenessException(detail="Another user has this userName, e-mail or externalId.") from error
    return get(str(user.pk))


def _refuse_names_of_others(user: User) -> None:
    """People sign in by name or address: neither is what somebody else is known by."""
    same = Q(email__iexact=user.username)
    if user.email:
        same |= Q(username__iexact=user.email)
    if User.objects.exclude(pk=user.pk).filter(same).exists():
        raise UniquenessException(detail="Another user has this userName, e-mail or externalId.")


def _first(values: Any) -> str:
    """The primary one, else the first: there is one of each here."""
    given = [one for one in values or [] if one.value]
    primary = next((one for one in given if one.primary), given[0] if given else None)
    return str(primary.value) if primary else ""


def _refuse_beyond(user: User) -> None:
    """Superusers get in while the identity provider is away, or was taken over: it does not change them."""
    if user.is_superuser:
        raise ForbiddenException(detail="Superusers are not changed over SCIM.")


def follow_groups(users: Iterable[User], actor: User, left: Iterable[str] = ()) -> None:
    """The role and team that the groups of these users give; `left` names the group that they are no longer
    in. Raises ConflictException for the last administrator, and for who owns the key.

    The rows are locked. Who is in no group that gives a role any more gets OIDC_DEFAULT_ROLE, and leaves the
    team that the group gave.
    """
    users = [user for user in users if not user.is_superuser]
    mine = given_by_groups.names_of([user.pk for user in users])
    teams = given_by_groups.teams()
    left_role = given_by_groups.first_of(settings.OIDC_ROLES, set(left))
    left_team = given_by_groups.first_of(teams, set(left))
    alike: dict[tuple[str, int | None], list[int]] = defaultdict(list)
    for user in users:
        fallback = settings.OIDC_DEFAULT_ROLE if left_role else user.role
        role = given_by_groups.first_of(settings.OIDC_ROLES, mine[user.pk]) or fallback
        kept = None if left_team and user.team_id == left_team else user.team_id
        team = given_by_groups.first_of(teams, mine[user.pk]) or kept
        if role != user.role and user.role == User.Role.ADMIN:
            _demote(user, role, actor)
        if (role, team) != (user.role, user.team_id):
            alike[role, team].append(user.pk)
    for (role, team), pks in alike.items():
        User.objects.filter(pk__in=pks).update(role=role, team_id=team)


def _demote(user: User, role: str, actor: User) -> None:
    if user.pk == actor.pk:
        raise ConflictException(detail="An API key does not take the role from its own user.")
    user.role = role
    try:
        user.clean()
    except ValidationError as error:
        raise ConflictException(detail=error.messages[0]) from error
    user.save(update_fields=["role"])
