"""What one record may be the same as, as it is stored now: by what is always compared and by the rules, those
across entities among them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q

from core.duplicates.groups import pairs_with
from core.duplicates.reasons import pairs_of, reasons_of, score_of
from core.entities import Entity, duplicate_rules, entities, field_types, writing
from core.entities.comparisons import ComparedRecords
from core.entities.duplicates import NAMED, names_of


@dataclass(frozen=True)
class PossibleDuplicate:
    """A record that another one may be the same as: its id and name, and what they agree in, for people."""

    entity: Entity
    pk: int
    name: str
    agreeing: str


def possible_duplicates_of(record: Any, entity: Entity, user: Any) -> list[PossibleDuplicate]:
    """Those that the user sees: the surest of its own kind, then those of other kinds."""
    # How alike texts must be is set for a transaction.
    entity = entity.for_user(user)
    with transaction.atomic():
        return [*_of_its_kind(record, entity, user), *_of_others(record, entity, user)]


def _of_its_kind(record: Any, entity: Entity, user: Any) -> list[PossibleDuplicate]:
    found = pairs_of(reasons_of(entity), [writing.values_of(record)]).pairs
    dismissed = pairs_with(entity, [record.pk]).exclude(dismissed_at=None)
    for pair in dismissed.values_list("low_id", "high_id"):
        found.pop(pair, None)
    by_id = {sum(pair) - record.pk: reasons for pair, reasons in found.items()}
    names = names_of(entity, set(by_id), user)
    surest = sorted(names, key=lambda pk: (-score_of(by_id[pk]), pk))[:NAMED]
    return [PossibleDuplicate(entity, pk, names[pk], _labels(entity, by_id[pk])) for pk in surest]


def _labels(entity: Entity, compared: Any) -> str:
    return ", ".join(duplicate_rules.label_of(entity, name) for name in compared)


def _of_others(record: Any, entity: Entity, user: Any) -> list[PossibleDuplicate]:
    """Of other entities, but for those that one of the two refers to: a contact that a lead became."""
    rules = [rule for rule in duplicate_rules.rules_of(entity) if rule.across]
    if not rules:
        return []
    asked = ComparedRecords([writing.values_of(record)])
    [findings] = duplicate_rules.findings(entity, rules, asked, user, record)
    found = {
        (name, pk): (title, finding.rule.compare)
        for finding in findings
        for name, pk, title in finding.named
        if name != entity.name
    }
    related = set(_related(record, entity, found))
    return [
        PossibleDuplicate(entities[name], pk, title, _labels(entity, [compared]))
        for (name, pk), (title, compared) in sorted(found.items())
        if (name, pk) not in related
    ][:NAMED]


def _related(record: Any, entity: Entity, found: Any) -> Iterator[tuple[str, int]]:
    """Those of the records that refer to this one, or that it refers to."""
    for other in {name for name, _ in found}:
        for column in _references(entity, other):
            yield other, getattr(record, column.path)
        refers = Q()
        for column in _references(entities[other], entity.name):
            refers |= Q(**{column.path: record.pk})
        if refers:
            ids = [pk for name, pk in found if name == other]
            rows = entities[other].model.objects.filter(refers, pk__in=ids).values_list("pk", flat=True)
            yield from ((other, pk) for pk in rows)


def _references(entity: Entity, target: str) -> list[Any]:
    """The columns by which an entity's records refer to those of another one."""
    return [
        column
        for column in entity.columns
        if isinstance(column.field_type, field_types.Reference) and column.field_type.target == target
    ]
