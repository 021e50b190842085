"""Why two records of an entity may be the same: what is always compared, and what active rules compare."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from django.db.models import F

from core.changes.expressions import EqualsAny
from core.entities import Entity
from core.entities.comparisons import (
    AT_MOST_EACH,
    ComparedRecords,
    Key,
    KeyMatch,
    Question,
    SameCustomValue,
    matches,
    set_likeness,
)
from core.entities.duplicate_rules import Match, comparison_of, rules_of

Pair = tuple[int, int]
# Behind the name of a comparison: texts are alike, and not the same.
FUZZY = ":fuzzy"


@dataclass(frozen=True)
class DuplicateReason:
    """What records are compared by, and how sure it is that those that agree are the same, from 0 to 1."""

    compare: str
    weight: float
    question: Question

    @property
    def name(self) -> str:
        return self.compare if self.question.threshold is None else self.compare + FUZZY


@dataclass
class FoundPairs:
    """Pair of ids, the lower one first → its reasons by what is compared. `crowds` are the ids of others that
    may have ceased to have a reason for each other: by its name, because too many share it; `hubs` are by the
    place of a reason the keys that too many share."""

    pairs: dict[Pair, dict[str, DuplicateReason]] = field(default_factory=dict)
    crowds: dict[str, set[int]] = field(default_factory=dict)
    hubs: dict[int, set[Key]] = field(default_factory=dict)

    def add(self, first: int, second: int, reason: DuplicateReason) -> None:
        """Of one comparison the surest reason counts."""
        known = self.pairs.setdefault((min(first, second), max(first, second)), {})
        if reason.compare not in known or known[reason.compare].weight < reason.weight:
            known[reason.compare] = reason


def reasons_of(entity: Entity) -> list[DuplicateReason]:
    """What is always compared, and what the active rules about the entity compare of its own records."""
    found: dict[tuple[str, float | None], DuplicateReason] = {
        (c.name, None): DuplicateReason(c.name, c.weight, Question(c, c, entity.model, others=True))
        for c in entity.duplicates
        if c.always
    }
    for rule in rules_of(entity):
        comparison = comparison_of(entity, rule.compare)
        if rule.entity != entity.name or comparison is None:
            continue
        threshold = rule.threshold if rule.match == Match.FUZZY else None
        question = Question(comparison, comparison, entity.model, threshold, others=True)
        reason = DuplicateReason(rule.compare, comparison.weight * (threshold or 1), question)
        found.setdefault((reason.name, threshold), reason)
    return list(found.values())


def is_exact(reasons: Sequence[str]) -> bool:
    """Whether one of the names of reasons is that values are the same."""
    return any(not name.endswith(FUZZY) for name in reasons)


def score_of(reasons: Mapping[str, DuplicateReason]) -> float:
    """Each reason leaves as much doubt as it is not sure."""
    return round(1 - prod(1 - reason.weight for reason in reasons.values()), 3)


def columns_of(reasons: Iterable[DuplicateReason]) -> list[str]:
    """The table columns that are looked at."""
    comparisons = [reason.question.given for reason in reasons]
    return sorted(
        {
            column
            for one in comparisons
            for column in (["custom_fields"] if isinstance(one, SameCustomValue) else one.columns)
        }
    )


def pairs_of(
    reasons: Sequence[DuplicateReason], rows: Sequence[Mapping[str, Any]], echoes: Collection[int] = ()
) -> FoundPairs:
    """The pairs that stored records, by `id` and `columns_of`, make with all that are stored. What as many as
    AT_MOST_EACH share is a reason for none of them: a switchboard's number, the address of a shop. So each of
    a pair must find the other one among few: likeness is not transitive, and what one shares with few the
    other may share with many. `echoes` are ids that have nobody else compared (`crowds`)."""
    fuzzy = [reason.question.threshold for reason in reasons if reason.question.threshold is not None]
    if fuzzy:
        set_likeness(fuzzy)
    own = {row["id"] for row in rows}
    sight = _seen_by(reasons, rows)
    others = {pk for _, _, pk in sight.few} - own
    if others:
        model = reasons[0].question.model
        more = model.objects.filter(EqualsAny(F("pk"), others)).values("id", *columns_of(reasons))
        sight.add(_seen_by(reasons, list(more)))
    found = FoundPairs()
    for question, pk, other in sorted(sight.few):
        if pk in own and not sight.is_among_many(question, other, pk):
            found.add(pk, other, reasons[question])
    fresh = own.difference(echoes)
    for question, pk, key in sight.hubs:
        if pk in fresh:
            found.hubs.setdefault(question, set()).add(key)
    for question, ids in sight.crowds_for(fresh):
        found.crowds.setdefault(reasons[question].name, set()).update(ids)
    return found


@dataclass
class _Sight:
    """What records find: `few` are (place of the reason, id, id found) by what few share, `many` have by
    reason and id what was found by something that many share: some of them. `hubs` are (place of the reason,
    id, key) of what is the same of many."""

    few: set[tuple[int, int, int]] = field(default_factory=set)
    many: dict[tuple[int, int], set[int]] = field(default_factory=dict)
    hubs: set[tuple[int, int, Key]] = field(default_factory=set)

    def add(self, more: "_Sight") -> None:
        self.few |= more.few
        self.many |= more.many

    def is_among_many(self, question: int, pk: int, other: int) -> bool:
        """Whether `pk` finds `other` only where it finds many."""
        return (question, pk) in self.many and (question, pk, other) not in self.few

    def crowds_for(self, fresh: Collection[int]) -> Iterator[tuple[int, set[int]]]:
        """By reason the ids that share something with many, as these records show."""
        shown = {(question, other) for question, pk, other in self.few if pk in fresh}
        for (question, pk), company in self.many.items():
            if pk in fresh:
                yield question, company
            elif (question, pk) in shown:
                yield question, {pk}


def _seen_by(reasons: Sequence[DuplicateReason], rows: Sequence[Mapping[str, Any]]) -> _Sight:
    asked = ComparedRecords(rows, [row["id"] for row in rows])
    hits = matches([reason.question for reason in reasons], asked)
    company = Counter(map(_key, hits))
    keys = [asked.rows(reason.question.given) for reason in reasons]
    sight = _Sight()
    for hit in hits:
        own = asked.ids[hit.record]
        if company[_key(hit)] + 1 < AT_MOST_EACH:
            sight.few.add((hit.question, own, hit.pk))
        else:
            sight.many.setdefault((hit.question, own), set()).add(hit.pk)
            if reasons[hit.question].question.threshold is None:
                sight.hubs.add((hit.question, own, keys[hit.question][hit.key - 1][1]))
    return sight


def left_behind(
    reasons: Sequence[DuplicateReason], rows: Sequence[Mapping[str, Any]]
) -> list[tuple[str, list[int]]]:
    """By the name of a reason the ids of those that share, with few, something that records had: these are
    `rows` by `id` and the values that they have no more. What is only alike is not looked at."""
    exact = [reason for reason in reasons if reason.question.threshold is None]
    shared: dict[tuple[int, int], set[int]] = {}
    questions = [reason.question for reason in exact]
    for hit in matches(questions, ComparedRecords(rows, [row["id"] for row in rows])):
        shared.setdefault(_key(hit), set()).add(hit.pk)
    return [
        (exact[question].name, sorted(ids))
        for (question, _), ids in shared.items()
        if 1 < len(ids) < AT_MOST_EACH
    ]


def _key(hit: KeyMatch) -> tuple[int, int]:
    return hit.question, hit.key
