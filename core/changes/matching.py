"""Which of many conditions each change of a batch meets: what workflows and webhooks are started by.

Two statements for all candidates together, whatever the size of the batch: of the changes, which trigger
applies to each; of the records, which conditions each meets.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib.postgres.aggregates import ArrayAgg
from django.contrib.postgres.fields import ArrayField
from django.db.models import BooleanField, Case, F, Func, Q, QuerySet, Value, When

from core.changes.expressions import EqualsAny
from core.changes.models import Change
from core.changes.past_states import deleted_rows
from core.entities import Entity


@dataclass
class Candidate:
    """What a change may start: a Q over changes, and one over records. `version` is the caller's own."""

    version: Any
    of_change: Q
    of_record: Q


def matched(
    entity: Entity, ids: Sequence[int], found: Sequence[Candidate]
) -> list[tuple[Candidate, list[int]]]:
    """Each candidate with the changes it matches, in their order; those without any are left out."""
    if not found:
        return []
    triggered = _triggered(ids, found)
    met = _met(entity, found, triggered)
    result = []
    for i, candidate_ in enumerate(found):
        changes = sorted(pk for pk, record in triggered[i] if record in met[i]) if met[i] else []
        if changes:
            result.append((candidate_, changes))
    return result


@dataclass
class Triggered:
    """The changes that one trigger applies to, each with its record; `gone` are those deleted by one."""

    changes: list[int] = field(default_factory=list)
    records: list[int] = field(default_factory=list)
    gone: set[int] = field(default_factory=set)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self.changes, self.records, strict=True)


def _triggered(ids: Sequence[int], found: Sequence[Candidate]) -> list[Triggered]:
    """By candidate: one query, one column for each distinct condition. Conditions are compared as such: as
    text `changed_to` and `changed_from` of one value look alike."""
    conditions = list(dict.fromkeys(c.of_change for c in found))
    answers = {condition: Triggered() for condition in conditions}
    deleted = Q(kind=Change.Kind.DELETED)
    asked = [*conditions, deleted]
    rows = Change.objects.filter(EqualsAny(F("id"), list(ids)))
    for flags, changes, records in _flagged(rows, asked, "id", "object_id"):
        for condition, flag in zip(conditions, flags, strict=False):
            if flag:
                answers[condition].changes += changes
                answers[condition].records += records
                answers[condition].gone.update(records if flags[-1] else ())
    return [answers[c.of_change] for c in found]


def _met(entity: Entity, found: Sequence[Candidate], triggered: Sequence[Triggered]) -> list[set[int]]:
    """Records by candidate that meet its conditions and that its principal sees."""
    asked = [i for i, those in enumerate(triggered) if those.changes]
    met: list[set[int]] = [set() for _ in found]
    if not asked:
        return met
    records = sorted({record for i in asked for record in triggered[i].records})
    rows = entity.model.objects.filter(EqualsAny(F("id"), records))
    for flags, pks in _flagged(rows, [found[i].of_record for i in asked], "id"):
        for i, flag in zip(asked, flags, strict=True):
            if flag:
                met[i].update(pks)
    gone = sorted({record for i in asked for record in triggered[i].gone})
    if gone:
        _met_by_deleted(entity, found, asked, gone, met)
    return met


def _met_by_deleted(
    entity: Entity, found: Sequence[Candidate], asked: Sequence[int], gone: list[int], met: list[set[int]]
) -> None:
    """Records that are no more are judged by what they last were."""
    for i in asked:
        met[i] |= deleted_rows(entity, gone, found[i].of_record)


def _flagged(rows: QuerySet, conditions: Iterable[Q], *names: str) -> QuerySet:
    """Rows by the conditions they meet, as tuples: one flag for each condition, then each of the columns
    `names` as a list."""
    answers = [
        # Case, for it also takes a condition whose answer is known beforehand: nothing is in an empty list.
        Case(When(condition, then=Value(True)), default=Value(False)) if condition else Value(True)
        for condition in conditions
    ]
    flags = Func(*answers, template="ARRAY[%(expressions)s]", output_field=ArrayField(BooleanField()))
    lists = {f"all_{name}": ArrayAgg(name, order_by="id") for name in names}
    return (
        rows.order_by().annotate(flags=flags).values("flags").annotate(**lists).values_list("flags", *lists)
    )
