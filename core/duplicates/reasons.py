"""Why two records of an entity may be the same: what is always compared, and what active rules compare."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from core.entities import Entity
from core.entities.comparisons import (
    AT_MOST_EACH,
    ComparedRecords,
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
    """Pair of ids, the lower one first → its reasons by what is compared. `crowds` are the ids that have so
    much company by one reason (its name) that it is none."""

    pairs: dict[Pair, dict[str, DuplicateReason]] = field(default_factory=dict)
    crowds: dict[str, set[int]] = field(default_factory=dict)

    def add(self, first: int, second: int, reason: DuplicateReason) -> None:
        """Of one comparison the surest reason counts."""
        known = self.pairs.setdefault((min(first, second), max(first, second)), {})
        if reason.compare not in known or known[reason.compare].weight < reason.weight:
            known[reason.compare] = reason


def reasons_of(entity: Entity) -> list[DuplicateReason]:
    """What is always compared, and what the active rules about the entity compare of its own records."""
    found = {
        c.name: DuplicateReason(c.name, c.weight, Question(c, c, entity.model, others=True))
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
        if reason.name not in found or reason.weight > found[reason.name].weight:
            found[reason.name] = reason
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


def pairs_of(reasons: Sequence[DuplicateReason], rows: Sequence[Mapping[str, Any]]) -> FoundPairs:
    """The pairs that stored records, by `id` and `columns_of`, make with all that are stored. What as many as
    AT_MOST_EACH share is a reason for none of them: a switchboard's number, the address of a shop."""
    fuzzy = [reason.question.threshold for reason in reasons if reason.question.threshold is not None]
    if fuzzy:
        set_likeness(fuzzy)
    asked = ComparedRecords(rows, [row["id"] for row in rows])
    hits = matches([reason.question for reason in reasons], asked)
    company = Counter(map(_key, hits))
    found = FoundPairs()
    for hit in hits:
        own, reason = asked.ids[hit.record], reasons[hit.question]
        if company[_key(hit)] + 1 < AT_MOST_EACH:
            found.add(own, hit.pk, reason)
        else:
            found.crowds.setdefault(reason.name, {own}).update((own, hit.pk))
    return found


def _key(hit: KeyMatch) -> tuple[int, int]:
    return hit.question, hit.key
