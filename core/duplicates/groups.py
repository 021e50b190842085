"""Groups of records that may be the same: the records that pairs connect, without those pairs that somebody
dismissed."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from django.db import connection
from django.db.models import F, Max, Q, QuerySet
from django.utils import timezone

from core.access import Permission
from core.changes.expressions import EqualsAny
from core.duplicates.merging import AT_MOST
from core.duplicates.models import DuplicateCheck, DuplicatePair
from core.duplicates.reasons import is_exact
from core.entities import Entity
from core.entities.duplicates import names_of
from core.entities.locks import FINDING_DUPLICATES, lock
from core.errors import ForbiddenError, InvalidError

_STORE = """
UPDATE core_duplicatepair p SET group_id = g.group_id, exact = g.exact
FROM unnest(%s::bigint[], %s::bigint[], %s::boolean[]) AS g (id, group_id, exact)
WHERE p.id = g.id AND (p.group_id, p.exact) IS DISTINCT FROM (g.group_id, g.exact)
"""


def regroup(entity: Entity, groups: Collection[int | None] = ()) -> None:
    """Work out anew the groups of new pairs, of all that these touch, and the groups that are named: every
    pair gets the smallest id that its records are connected with, and whether all of the group are exactly
    the same. Call under the lock FINDING_DUPLICATES."""
    stored = DuplicatePair.objects.filter(entity=entity.name, dismissed_at=None)
    fresh = stored.filter(group_id=None).values_list("low_id", "high_id")
    ends = {pk for pair in fresh for pk in pair}
    known = {*groups, *pairs_with(entity, ends).values_list("group_id", flat=True)} - {None}
    pairs = list(stored.filter(Q(group_id=None) | Q(EqualsAny(F("group_id"), known))).only(*_GROUPED))
    found = _components((pair.low_id, pair.high_id) for pair in pairs)
    exact = _exact_groups(pairs, found)
    made = [(pair.pk, found[pair.low_id], found[pair.low_id] in exact) for pair in pairs]
    if made:
        with connection.cursor() as cursor:
            cursor.execute(_STORE, [list(column) for column in zip(*made, strict=True)])


_GROUPED = ("low_id", "high_id", "group_id", "exact", "reasons")


def _components(pairs: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Record → the smallest id that it is connected with."""
    parents: dict[int, int] = {}

    def root(pk: int) -> int:
        while parents.setdefault(pk, pk) != pk:
            parents[pk] = pk = parents[parents[pk]]
        return pk

    for low, high in pairs:
        first, second = sorted((root(low), root(high)))
        parents[second] = first
    return {pk: root(pk) for pk in list(parents)}


def _exact_groups(pairs: Iterable[DuplicatePair], groups: Mapping[int, int]) -> set[int]:
    """The groups in which every two records have exactly the same in something."""
    sizes = Counter(groups.values())
    agreeing = Counter(groups[pair.low_id] for pair in pairs if is_exact(pair.reasons))
    return {group for group, size in sizes.items() if agreeing[group] == size * (size - 1) // 2}


@dataclass(frozen=True)
class GroupQuery:
    """Which groups: how sure, with which reason, and whether exact ones."""

    min_score: float = 0
    reason: str = ""
    exact: bool | None = None


def visible_groups(entity: Entity, user: Any, asked: GroupQuery) -> QuerySet:
    """The groups of which the user sees two that may be the same, the surest first, as rows of `group_id`."""
    seen = _living(entity.visible_to(user)).order_by().values("pk")
    pairs = DuplicatePair.objects.filter(
        entity=entity.name, dismissed_at=None, score__gte=asked.min_score, low_id__in=seen, high_id__in=seen
    ).exclude(group_id=None)
    if asked.reason:
        pairs = pairs.filter(reasons__contains=[asked.reason])
    if asked.exact is not None:
        pairs = pairs.filter(exact=asked.exact)
    return pairs.order_by().values("group_id").annotate(surest=Max("score")).order_by("-surest", "group_id")


def _living(rows: QuerySet) -> QuerySet:
    return rows.filter(archived_at=None)


@dataclass(frozen=True)
class DuplicateGroup:
    """A group as somebody sees it: the first AT_MOST + 1 records that they see, by id, why and how sure it is
    that two of them are the same, and how many records there are that they do not see."""

    score: float
    reasons: Sequence[str]
    exact: bool
    records: Sequence[Mapping[str, Any]]
    hidden: int


def shown(entity: Entity, groups: Iterable[Mapping[str, Any]], user: Any) -> list[DuplicateGroup]:
    """Groups as `user` sees them, in a fixed number of statements."""
    wanted = [group["group_id"] for group in groups]
    pairs: dict[int, list[DuplicatePair]] = defaultdict(list)
    for pair in DuplicatePair.objects.filter(entity=entity.name, dismissed_at=None, group_id__in=wanted):
        pairs[pair.group_id or 0].append(pair)
    every = {pk for found in pairs.values() for pair in found for pk in (pair.low_id, pair.high_id)}
    living = set(_living(entity.model.objects.filter(pk__in=every)).values_list("pk", flat=True))
    names = names_of(entity, living, user)
    return [_shown(pairs[group], living, names) for group in wanted]


def _shown(
    pairs: Sequence[DuplicatePair], living: Collection[int], names: Mapping[int, str]
) -> DuplicateGroup:
    members = {pk for pair in pairs for pk in (pair.low_id, pair.high_id)}.intersection(living)
    seen = sorted(pk for pk in members if pk in names)
    own = [pair for pair in pairs if pair.low_id in names and pair.high_id in names]
    return DuplicateGroup(
        score=max((pair.score for pair in own), default=0.0),
        reasons=sorted({reason for pair in own for reason in pair.reasons}),
        exact=all(pair.exact for pair in own),
        records=[{"id": pk, "name": names[pk]} for pk in seen[: AT_MOST + 1]],
        hidden=len(members) - len(seen),
    )


def dismiss(entity: Entity, ids: Collection[int], user: Any) -> int:
    """Remember that no two of the records are the same; returns how many pairs that are.

    Raises InvalidError for records that are not there for the user, ForbiddenError where they may not change
    all of them.
    """
    wanted = _changeable(entity, ids, user)
    lock(FINDING_DUPLICATES, entity.name)
    now = timezone.now()
    pairs = [
        DuplicatePair(
            entity=entity.name, low_id=low, high_id=high, score=0, dismissed_at=now, dismissed_by=user
        )
        for low, high in combinations(sorted(wanted), 2)
    ]
    groups = set(pairs_among(entity, wanted).values_list("group_id", flat=True))
    DuplicatePair.objects.bulk_create(
        pairs,
        update_conflicts=True,
        unique_fields=["entity", "low_id", "high_id"],
        update_fields=["dismissed_at", "dismissed_by", "group_id"],
    )
    regroup(entity, groups)
    return len(pairs)


def take_back(entity: Entity, ids: Collection[int], user: Any) -> int:
    """Forget that these were dismissed, and have them compared again; returns how many pairs had been.

    Raises as `dismiss` does.
    """
    wanted = _changeable(entity, ids, user)
    lock(FINDING_DUPLICATES, entity.name)
    count, _ = pairs_among(entity, wanted).exclude(dismissed_at=None).delete()
    DuplicateCheck.objects.bulk_create(DuplicateCheck(entity=entity.name, record_id=pk) for pk in wanted)
    return count


def pairs_with(entity: Entity, ids: Collection[int]) -> QuerySet:
    """The pairs that one of the records is part of."""
    has = Q(EqualsAny(F("low_id"), ids)) | Q(EqualsAny(F("high_id"), ids))
    return DuplicatePair.objects.filter(has, entity=entity.name)


def pairs_among(entity: Entity, ids: Collection[int]) -> QuerySet:
    """The pairs of which both records are among these."""
    return DuplicatePair.objects.filter(entity=entity.name, low_id__in=ids, high_id__in=ids)


def _changeable(entity: Entity, ids: Collection[int], user: Any) -> set[int]:
    """The ids, all of records that the user may change."""
    wanted = set(ids)
    if _living(entity.visible_to(user)).filter(pk__in=wanted).count() < len(wanted):
        raise InvalidError.of("ids", f"There is no such {entity.name}.", "does_not_exist")
    if _living(entity.visible_to(user, Permission.CHANGE)).filter(pk__in=wanted).count() < len(wanted):
        raise ForbiddenError("You may see these records but not change all of them.")
    return wanted
