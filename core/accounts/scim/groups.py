"""Groups as resources."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet
from scim2_models import (
    Group,
    GroupMember,
    InvalidValueException,
    Meta,
    NotFoundException,
    PayloadTooLargeException,
    Reference,
    UniquenessException,
)

from core.accounts.models import ProvisionedGroup, ProvisionedMember, User
from core.accounts.scim import people
from core.accounts.scim.filters import by_id, known_id
from core.entities.locks import TEAM_TREE, lock

MAX_MEMBERS = 5_000
# Of all groups of a page: it ends before the group with which there would be more.
MAX_MEMBERS_SHOWN = 20_000


def rows() -> QuerySet[ProvisionedGroup]:
    return ProvisionedGroup.objects.all()


def page(found: QuerySet[ProvisionedGroup], *, members: bool) -> list[Group]:
    """The first of the groups, as many as may be shown with their members."""
    if not members:
        return shown(found, members=False)
    chosen: list[ProvisionedGroup] = []
    left = MAX_MEMBERS_SHOWN
    for row in found.annotate(size=Count("provisionedmember", distinct=True)):
        left -= row.size
        if left < 0 and chosen:
            break
        chosen.append(row)
    return shown(chosen)


def shown(found: Iterable[ProvisionedGroup], *, members: bool = True) -> list[Group]:
    found = list(found)
    theirs: dict[int, list[int]] = defaultdict(list)
    if members:
        pairs = ProvisionedMember.objects.filter(group__in=found).order_by("user_id")
        for group, user in pairs.values_list("group", "user"):
            theirs[group].append(user)
    return [_group(row, theirs[row.pk]) for row in found]


def _group(row: ProvisionedGroup, members: Sequence[int]) -> Group:
    return Group(
        id=str(row.pk),
        external_id=row.external_id or None,
        display_name=row.display_name,
        members=[GroupMember(value=str(pk), ref=Reference(f"Users/{pk}"), type="User") for pk in members]
        or None,
        meta=Meta(resource_type="Group", created=row.created_at, version=f'W/"{row.revision}"'),
    )


def get(pk: str, *, lock: bool = False, members: bool = True) -> Group:
    return shown([_row(pk, lock=lock)], members=members)[0]


def _row(pk: str, *, lock: bool = False) -> ProvisionedGroup:
    found = rows().select_for_update(of=("self",)) if lock else rows()
    row = found.filter(by_id("pk")(pk)).first()
    if row is None:
        raise NotFoundException(detail=f"There is no group {pk[:40]}.")
    return row


def create(group: Group, actor: User) -> Group:
    row = ProvisionedGroup(revision=1)
    _save(row, group)
    _set_members(row, _wanted(group), actor)
    return get(str(row.pk))


def update(group: Group, actor: User) -> Group:
    row = _row(group.id or "", lock=True)
    before = names(row)
    row.revision += 1
    _save(row, group)
    _set_members(row, _wanted(group), actor, before)
    return get(str(row.pk))


def delete(pk: str, actor: User) -> None:
    row = _row(pk, lock=True)
    before = names(row)
    users = _locked(row.members.values_list("pk", flat=True))
    row.delete()
    people.follow_groups(users, actor, before)


def names(row: ProvisionedGroup) -> set[str]:
    """What the settings may call it."""
    return {row.display_name, row.external_id} - {""}


def _save(row: ProvisionedGroup, group: Group) -> None:
    row.display_name = (group.display_name or "").strip()
    row.external_id = group.external_id or ""
    if not row.display_name or len(row.display_name) > 255 or len(row.external_id) > 255:
        raise InvalidValueException(detail="displayName and externalId: 1 to 255 characters.")
    _refuse_ids_of_others(row)
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        raise UniquenessException(detail="Another group has this displayName or externalId.") from error


def _refuse_ids_of_others(row: ProvisionedGroup) -> None:
    """The settings name a group by its name or its id: a name that is the id of another group would give what
    that one gives."""
    lock(TEAM_TREE, "provisioned groups")
    others = ProvisionedGroup.objects.exclude(pk=row.pk)
    same = Q(external_id=row.display_name)
    if row.external_id:
        same |= Q(display_name=row.external_id)
    if others.filter(same).exists():
        raise InvalidValueException(detail="displayName: this is the id of a group.")


def _wanted(group: Group) -> set[int]:
    """The ids of the members. Raises SCIMException for too many, and for what is no user's."""
    members = group.members or []
    if len(members) > MAX_MEMBERS:
        raise PayloadTooLargeException(detail=f"A group has at most {MAX_MEMBERS} members.")
    if any((member.type or "").lower() == "group" for member in members):
        raise InvalidValueException(detail="members: groups in groups are not supported.")
    pks = {member.value: known_id(member.value) for member in members}
    wanted = {pk for pk in pks.values() if pk is not None}
    if None in pks.values() or people.rows().filter(pk__in=wanted).count() < len(wanted):
        raise InvalidValueException(detail="members: each value is the id of a user.")
    return wanted


def _set_members(row: ProvisionedGroup, wanted: set[int], actor: User, before: Iterable[str] = ()) -> None:
    """Those who join, those who leave and, where the group has another name now, all of them get what their
    groups give now."""
    present = set(row.members.values_list("pk", flat=True))
    joining, leaving = wanted - present, present - wanted
    is_renamed = bool(before) and set(before) != names(row)
    # Locked before anything is written: of two groups that change at once the second sees the first.
    users = _locked(present | wanted if is_renamed else joining | leaving)
    if people.rows().filter(pk__in=joining).count() < len(joining):
        raise InvalidValueException(detail="members: each value is the id of a user.")
    ProvisionedMember.objects.filter(group=row, user__in=leaving).delete()
    ProvisionedMember.objects.bulk_create(ProvisionedMember(group=row, user_id=pk) for pk in sorted(joining))
    lost = leaving | present if is_renamed else leaving
    people.follow_groups([user for user in users if user.pk in lost], actor, before)
    people.follow_groups([user for user in users if user.pk not in lost], actor)


def _locked(pks: Iterable[int]) -> list[User]:
    users = User.objects.select_for_update(of=("self",)).filter(pk__in=set(pks)).order_by("pk")
    return list(users)
