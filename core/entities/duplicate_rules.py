"""Rules about duplicates: what a rule may be, and what the active ones say of new records.

Every new record is asked of here, whichever door it comes through: single ones by `check_new`
(core.entities.writing), those of an import set at a time by `findings`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Q
from django.utils.translation import gettext

from core import labels, prepared
from core.access import scopes
from core.entities.comparisons import (
    ComparedRecords,
    Question,
    RecordComparison,
    SameCustomValue,
    matches,
    set_likeness,
)
from core.entities.custom import PREFIX, definitions
from core.entities.duplicates import NAMED, names_of
from core.entities.entity import Entity, entities
from core.entities.locks import DUPLICATE_RULE, lock
from core.entities.models import CustomField, DuplicateRule
from core.errors import ConflictError, FieldIssue, InvalidError

CODE = "possible_duplicate"
Match, OnCreate = DuplicateRule.Match, DuplicateRule.OnCreate
# Of these two records may well have the same value.
NEVER_COMPARED = (CustomField.Type.BOOLEAN, CustomField.Type.MULTI_CHOICE)


@dataclass(frozen=True)
class Finding:
    """What a rule found for one new record: all its `matches` (entity and id), by name those of them that the
    user sees. The matches themselves are for nobody's eyes."""

    rule: DuplicateRule
    field: str
    matches: frozenset[tuple[str, int]]
    named: tuple[tuple[str, int, str], ...]

    def among(self, matches: Collection[tuple[str, int]]) -> "Finding":
        """The same with only those of its matches."""
        named = tuple(one for one in self.named if one[:2] in matches)
        return replace(self, matches=self.matches.intersection(matches), named=named)

    @property
    def message(self) -> str:
        """For people; of hidden records only that there are some."""
        if not self.named:
            return gettext("%(name)s: someone else has this.") % {"name": self.rule.name}
        names = ", ".join(f"{entity} {name} ({pk})" for entity, pk, name in self.named[:NAMED])
        more = (
            gettext(" and %(value)s more") % {"value": len(self.named) - NAMED}
            if len(self.named) > NAMED
            else ""
        )
        hidden = len(self.named) < len(self.matches)
        others = gettext("; someone else has this as well") if hidden else ""
        return gettext("%(name)s: possible duplicate of %(names)s%(more)s%(others)s.") % {
            "name": self.rule.name,
            "names": names,
            "more": more,
            "others": others,
        }

    @property
    def issue(self) -> FieldIssue:
        return FieldIssue(self.field, CODE, self.message)


# ---- What a rule may be ----


def compared(entity: Entity) -> list[str]:
    """By what records of an entity can be compared, custom fields included."""
    custom = [d.key for d in definitions(entity) if d.type not in NEVER_COMPARED]
    return [*(c.name for c in entity.duplicates), *(PREFIX + key for key in custom)]


def comparison_of(entity: Entity, name: str) -> RecordComparison | None:
    """The comparison that a rule names; None where the entity has none of this name."""
    if name.startswith(PREFIX):
        key = name.removeprefix(PREFIX)
        if key in entity.hidden_keys:
            return None
        return SameCustomValue(name, key.replace("_", " "), (key,), always=False)
    return next((c for c in entity.duplicates if c.name == name), None)


def label_of(entity: Entity, name: str) -> str:
    """What people call a comparison."""
    comparison = comparison_of(entity, name)
    if comparison is None:
        return name
    own = isinstance(comparison, SameCustomValue)
    return labels.as_title(comparison.label) if own else labels.titled(comparison.label)


def check(rule: DuplicateRule) -> None:
    """Refuse a rule that cannot be. Raises InvalidError naming each field that is wrong."""
    known = [entity.name for entity in entities if entity.duplicates]
    if rule.entity not in known:
        raise InvalidError.of(
            "entity", gettext("Not one of: %(known)s.") % {"known": ", ".join(known)}, "invalid_choice"
        )
    issues = [*_compare_issues(rule), *_across_issues(rule, known)]
    if issues:
        raise InvalidError(issues)


def _compare_issues(rule: DuplicateRule) -> Iterable[FieldIssue]:
    names = compared(entities[rule.entity])
    if rule.compare not in names:
        yield FieldIssue(
            "compare", "invalid_choice", gettext("Not one of: %(names)s.") % {"names": ", ".join(names)}
        )
        return
    comparison = comparison_of(entities[rule.entity], rule.compare)
    if rule.match == Match.FUZZY and comparison is not None and not comparison.may_be_fuzzy:
        yield FieldIssue(
            "match",
            "invalid",
            gettext("%(compare)s can only be compared exactly.") % {"compare": rule.compare},
        )


def _across_issues(rule: DuplicateRule, known: Sequence[str]) -> Iterable[FieldIssue]:
    if not rule.across:
        return
    others = [name for name in known if name != rule.entity]
    if rule.across not in others:
        yield FieldIssue(
            "across", "invalid_choice", gettext("Not one of: %(names)s.") % {"names": ", ".join(others)}
        )
    elif rule.compare not in compared(entities[rule.across]):
        yield FieldIssue(
            "across",
            "invalid",
            gettext("A %(across)s has no %(compare)s.") % {"across": rule.across, "compare": rule.compare},
        )


# ---- What the rules say of new records ----


def rules_of(entity: Entity) -> list[DuplicateRule]:
    """The active rules that new records of an entity are compared by: one query, whose text is made once."""
    if not entity.duplicates:
        return []
    with prepared.cursor(DEFAULT_DB_ALIAS) as cursor:
        cursor.execute(_statement(), [entity.name, entity.name])
        rows = cursor.fetchall()
    return [DuplicateRule.from_db(DEFAULT_DB_ALIAS, _NAMES, row) for row in rows]


@lru_cache(maxsize=1)
def _statement() -> str:
    rules = DuplicateRule.objects.filter(Q(entity="") | Q(across=" "), is_active=True).order_by("id")
    return rules.query.sql_with_params()[0]


_NAMES = [f.attname for f in DuplicateRule._meta.concrete_fields]


def check_new(entity: Entity, values: Mapping[str, Any], user: Any, origin: Any = None) -> list[Finding]:
    """What the rules found for a record about to be created, those that refuse it aside: these raise
    ConflictError. `origin` is the record that it is made from, which is no duplicate of it.

    A rule that refuses lets one transaction at a time create records, or two would pass each other's checks.
    """
    rules = rules_of(entity)
    if not rules:
        return []
    _lock(rules)
    [found] = findings(entity, rules, ComparedRecords([values]), user, origin)
    refused = [finding for finding in found if finding.rule.on_create == OnCreate.REFUSE]
    if refused:
        message = " ".join(finding.message for finding in refused)
        raise ConflictError(message, code=CODE, issues=[finding.issue for finding in refused])
    return found


def lock_refusing(*created: Entity) -> None:
    """Take the locks of `check_new` for a transaction that creates records of these entities and locks rows
    as well, before those of its rows: it may wait for another one that has them, which must not wait for a
    row of this one. Call it once."""
    rules = {rule.pk: rule for entity in created for rule in rules_of(entity)}
    _lock(rules[pk] for pk in sorted(rules))


def _lock(rules: Iterable[DuplicateRule]) -> None:
    for rule in rules:
        if rule.on_create == OnCreate.REFUSE:
            lock(DUPLICATE_RULE, str(rule.pk))


def findings(
    entity: Entity, rules: Sequence[DuplicateRule], asked: ComparedRecords, user: Any, origin: Any = None
) -> list[list[Finding]]:
    """What each rule found for each record, in the order of the rules."""
    pairs = [(rule, *pair) for rule in rules for pair in _questions(entity, rule)]
    fuzzy = [question.threshold for _, _, question in pairs if question.threshold is not None]
    if fuzzy:
        set_likeness(fuzzy)
    hits: list[dict[int, set[tuple[str, int]]]] = [{} for _ in asked.records]
    for match in matches([question for _, _, question in pairs], asked):
        rule, other, _ = pairs[match.question]
        if origin is None or (other.name, match.pk) != (origin.entity_name, origin.pk):
            hits[match.record].setdefault(rule.pk, set()).add((other.name, match.pk))
    names = _names({hit for found in hits for some in found.values() for hit in some}, user)
    return [
        [_finding(entity, rule, found[rule.pk], names) for rule in rules if rule.pk in found]
        for found in hits
    ]


def _questions(entity: Entity, rule: DuplicateRule) -> Iterable[tuple[Entity, Question]]:
    """Where a rule looks for a new record of an entity: among its own kind and in the other one, or, where
    the entity is the other one, among the rule's."""
    threshold = rule.threshold if rule.match == Match.FUZZY else None
    others = [rule.entity] if entity.name != rule.entity else [rule.entity, rule.across]
    given = comparison_of(entity, rule.compare)
    for other in (entities[name] for name in others if name in entities):
        stored = comparison_of(other.limited(entity.rights), rule.compare)
        if given is not None and stored is not None:
            own = other.name == entity.name
            yield other, Question(given, stored, other.model, threshold, in_order=own)


def _names(hits: set[tuple[str, int]], user: Any) -> dict[tuple[str, int], str]:
    """What those of the records are called that the user sees, and the key that speaks for them may read."""
    found: dict[tuple[str, int], str] = {}
    for name in {name for name, _ in hits}:
        if user is None or scopes.covers(user, entities[name].plural):
            ids = {pk for other, pk in hits if other == name}
            found |= {(name, pk): title for pk, title in names_of(entities[name], ids, user).items()}
    return found


def _finding(
    entity: Entity, rule: DuplicateRule, hits: set[tuple[str, int]], names: Mapping[tuple[str, int], str]
) -> Finding:
    comparison = comparison_of(entity, rule.compare)
    named = tuple((*hit, names[hit]) for hit in sorted(hits) if hit in names)
    field = comparison.field if comparison else ""
    return Finding(rule, field, frozenset(hits), named)


def warnings_of_rules(record: Any) -> list[dict[str, str]]:
    """What rules that warn found for a record just created, in the form of the API."""
    return [
        {"field": finding.field, "code": CODE, "message": finding.message}
        for finding in record.duplicates_found
        if finding.rule.on_create == OnCreate.WARN
    ]


def with_findings(
    entity: Entity, named: list[dict[str, Any]] | None, record: Any
) -> list[dict[str, Any]] | None:
    """The possible duplicates of a record just created, with those of its kind that rules found."""
    if named is None:
        return None
    found = {twin["id"]: twin["name"] for twin in named}
    for finding in record.duplicates_found:
        found |= {pk: name for other, pk, name in finding.named if other == entity.name}
    return [{"id": pk, "name": found[pk]} for pk in sorted(found)[:NAMED]]
