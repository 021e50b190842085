"""Groups of records that may be the same: the records that exact pairs connect, and each pair that is only
alike by itself; without the pairs that somebody dismissed."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from django.db import connection
from django.db.models import Case, Exists, F, FloatField, Max, OuterRef, Q, QuerySet, Value, When, Window
from django.db.models.functions import Round, RowNumber
from django.utils import timezone
from django.utils.translation import gettext

from core.access import Permission
from core.changes.expressions import EqualsAny
from core.duplicates.models import AT_MOST, DuplicateCheck, DuplicatePair
from core.duplicates.reasons import FUZZY, is_exact, reasons_of
from core.entities import Entity, entity_of
from core.entities.custom import PREFIX
from core.entities.duplicates import names_of
from core.entities.locks import FINDING_DUPLICATES, lock_within
from core.errors import ConflictError, ForbiddenError, InvalidError

# Pairs of one group that are looked at to show it, the surest first.
SHOWN_PAIRS = 1_000
# Seconds that a request waits for records that are being compared.
WAIT_S = 3.0

_STORE = """
UPDATE core_duplicatepair p SET group_id = g.group_id, exact = g.exact
FROM unnest(%s::bigint[], %s::bigint[], %s::boolean[]) AS g (id, group_id, exact)
WHERE p.id = g.id AND (p.group_id, p.exact) IS DISTINCT FROM (g.group_id, g.exact)
"""


def regroup(entity: Entity, groups: Collection[int | None] = ()) -> None:
    """Work out anew the groups of new pairs, of all that these touch, and the groups that are named: every
    exact pair gets the smallest id that its records are connected with, and whether all of the group are
    exactly the same; one that is only alike is a group of its own, or all that is a little like something
    would be one group. Call under the lock FINDING_DUPLICATES."""
    stored = DuplicatePair.objects.filter(entity=entity.name, dismissed_at=None).only(*_GROUPED)
    fresh: list[DuplicatePair] = []
    alone: list[DuplicatePair] = []
    for pair in stored.filter(group_id=None):
        (fresh if is_exact(pair.reasons) else alone).append(pair)
    ends = {pk for pair in fresh for pk in (pair.low_id, pair.high_id)}
    touched = {*groups, *pairs_with(entity, ends).values_list("group_id", flat=True)}
    known = [group for group in touched if group is not None and group > 0]
    pairs = [*fresh, *stored.filter(EqualsAny(F("group_id"), known))]
    found = _components(pairs)
    exact = _exact_groups(pairs, found)
    made = [(pair.pk, -pair.pk, False) for pair in alone]
    made += [(pair.pk, found[pair.low_id], found[pair.low_id] in exact) for pair in pairs]
    if made:
        with connection.cursor() as cursor:
            cursor.execute(_STORE, [list(column) for column in zip(*made, strict=True)])


_GROUPED = ("low_id", "high_id", "group_id", "exact", "reasons")


def _components(pairs: Iterable[DuplicatePair]) -> dict[int, int]:
    """Record → the smallest id that it is connected with."""
    parents: dict[int, int] = {}

    def root(pk: int) -> int:
        while parents.setdefault(pk, pk) != pk:
            parents[pk] = pk = parents[parents[pk]]
        return pk

    for pair in pairs:
        first, second = sorted((root(pair.low_id), root(pair.high_id)))
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

    def fits(self, group: "DuplicateGroup") -> bool:
        return (
            group.score >= self.min_score
            and (not self.reason or self.reason in group.reasons)
            and self.exact in (None, group.exact)
        )


def visible_groups(entity: Entity, user: Any, asked: GroupQuery) -> QuerySet:
    """The groups of which the user sees two that may be the same, the surest first, as rows of `group_id`."""
    hidden = hidden_reasons(entity, user)
    pairs = _seen_pairs(entity, user).filter(seen_score__gte=asked.min_score).exclude(group_id=None)
    if asked.reason in hidden:
        pairs = pairs.none()
    if asked.reason:
        pairs = pairs.filter(reasons__contains=[asked.reason])
    of_group = DuplicatePair.objects.filter(
        entity=entity.name, dismissed_at=None, group_id=OuterRef("group_id")
    )
    if asked.exact is False:
        # What is exact by what one does not see is not for oneself.
        by_hidden = Exists(of_group.filter(reasons__overlap=sorted(hidden))) if hidden else Q(pk__in=[])
        pairs = pairs.filter(Q(exact=False) | by_hidden)
    elif asked.exact:
        # What one sees of a group may be exact where all of it is not.
        others = of_group.exclude(pk__in=_seen_pairs(entity, user).values("pk"))
        pairs = pairs.filter(Q(exact=True) | Exists(others))
    groups = pairs.order_by().values("group_id").annotate(surest=Max("seen_score"))
    return groups.order_by("-surest", "group_id")


def _seen_pairs(entity: Entity, user: Any) -> QuerySet:
    """The pairs of which the user sees both records, and something in which they agree: with `seen_score`,
    how sure that makes it."""
    seen = _living(entity.visible_to(user)).order_by().values("pk")
    pairs = DuplicatePair.objects.filter(
        entity=entity.name, dismissed_at=None, low_id__in=seen, high_id__in=seen
    )
    hidden = hidden_reasons(entity, user)
    if not hidden:
        return pairs.annotate(seen_score=F("score"))
    seen_pairs = pairs.exclude(reasons__contained_by=sorted(hidden))
    return seen_pairs.annotate(
        seen_score=Case(
            When(reasons__overlap=sorted(hidden), then=_score_without(entity, hidden)), default=F("score")
        )
    )


def hidden_reasons(entity: Entity, user: Any) -> set[str]:
    """The names of the reasons that tell of fields hidden from the user."""
    limited, whole = entity.for_user(user), entity_of(entity.model).duplicates
    names = {one.name for one in whole if not limited.hidden.isdisjoint(one.columns)}
    names |= {PREFIX + key for key in limited.hidden_keys}
    return {*names, *(name + FUZZY for name in names)}


def _score_without(entity: Entity, hidden: Collection[str]) -> Any:
    """The score of a pair (reasons.score_of) without these reasons, in SQL."""
    weights: dict[str, float] = {}
    for reason in reasons_of(entity_of(entity.model)):
        if reason.name not in hidden:
            weights[reason.name] = max(reason.weight, weights.get(reason.name, 0))
    doubt: Any = Value(1.0)
    for name, weight in weights.items():
        held = When(reasons__contains=[name], then=Value(1 - weight))
        doubt *= Case(held, default=Value(1.0), output_field=FloatField())
    return Round(Value(1.0) - doubt, 3)


def _living(rows: QuerySet) -> QuerySet:
    return rows.filter(archived_at=None)


@dataclass(frozen=True)
class DuplicateGroup:
    """A group as somebody sees it: the first AT_MOST + 1 records, by id, why and how sure it is that two of
    them are the same, and whether every two are exactly."""

    score: float
    reasons: Sequence[str]
    exact: bool
    records: Sequence[Mapping[str, Any]]


def shown(
    entity: Entity, groups: Iterable[Mapping[str, Any]], user: Any, asked: GroupQuery
) -> list[DuplicateGroup]:
    """Groups as `user` sees them, in a fixed number of statements: what one does not see is as if it were not
    there, so that what only a hidden record connects is several groups."""
    wanted = [group["group_id"] for group in groups]
    place = Window(RowNumber(), partition_by=F("group_id"), order_by=[F("seen_score").desc(), F("id")])
    found = _seen_pairs(entity, user).filter(group_id__in=wanted).annotate(place=place)
    pairs: dict[int, list[DuplicatePair]] = defaultdict(list)
    for pair in found.filter(place__lte=SHOWN_PAIRS):
        pairs[pair.group_id or 0].append(pair)
    ids = {pk for some in pairs.values() for pair in some for pk in (pair.low_id, pair.high_id)}
    names = names_of(entity, ids, user)
    hidden = hidden_reasons(entity, user)
    for some in pairs.values():
        for pair in some:
            pair.score = pair.seen_score  # type: ignore[attr-defined]  # an annotation
            pair.reasons = [reason for reason in pair.reasons if reason not in hidden]
    made = (part for group in wanted for part in _parts(pairs[group], names))
    return [group for group in made if asked.fits(group)]


def _parts(pairs: Sequence[DuplicatePair], names: Mapping[int, str]) -> list[DuplicateGroup]:
    """What the pairs connect, the surest first; nothing of pairs whose records have gone meanwhile."""
    own = [pair for pair in pairs if pair.low_id in names and pair.high_id in names]
    groups = _components(own)
    exact = _exact_groups(own, groups)
    by_group: dict[int, list[DuplicatePair]] = defaultdict(list)
    for pair in own:
        by_group[groups[pair.low_id]].append(pair)
    made = [_part(some, names, group in exact) for group, some in sorted(by_group.items())]
    return sorted(made, key=lambda group: -group.score)


def _part(pairs: Sequence[DuplicatePair], names: Mapping[int, str], exact: bool) -> DuplicateGroup:
    members = sorted({pk for pair in pairs for pk in (pair.low_id, pair.high_id)})
    return DuplicateGroup(
        score=max(pair.score for pair in pairs),
        reasons=sorted({reason for pair in pairs for reason in pair.reasons}),
        exact=exact,
        records=[{"id": pk, "name": names[pk]} for pk in members[: AT_MOST + 1]],
    )


def dismiss(entity: Entity, ids: Collection[int], user: Any) -> int:
    """Remember that no two of the records are the same; returns how many pairs that are.

    Raises InvalidError for records that are not there for the user, ForbiddenError where they may not change
    all of them, ConflictError where records are being compared for longer than one waits.
    """
    wanted = _changeable(entity, ids, user)
    wait_for_turn(entity)
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
        update_fields=["dismissed_at", "dismissed_by", "group_id", "inherited_by"],
    )
    regroup(entity, groups)
    return len(pairs)


def take_back(entity: Entity, ids: Collection[int], user: Any) -> int:
    """Forget that these were dismissed, and have them compared again; returns how many pairs had been.

    Raises as `dismiss` does.
    """
    wanted = _changeable(entity, ids, user)
    wait_for_turn(entity)
    count, _ = pairs_among(entity, wanted).exclude(dismissed_at=None).delete()
    DuplicateCheck.objects.bulk_create(DuplicateCheck(entity=entity.name, record_id=pk) for pk in wanted)
    return count


def wait_for_turn(entity: Entity) -> None:
    """Take the lock FINDING_DUPLICATES. Raises ConflictError where that takes longer than one waits."""
    if not lock_within(FINDING_DUPLICATES, entity.name, WAIT_S):
        raise ConflictError(
            gettext("Records are being compared just now; try again in a minute."), code="busy"
        )


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
        raise InvalidError.of(
            "ids", gettext("There is no such %(name)s.") % {"name": entity.name}, "does_not_exist"
        )
    if _living(entity.visible_to(user, Permission.CHANGE)).filter(pk__in=wanted).count() < len(wanted):
        raise ForbiddenError(gettext("You may see these records but not change all of them."))
    return wanted
