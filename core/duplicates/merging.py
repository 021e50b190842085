"""Merging: several records of an entity become one of them, in the caller's transaction.

Call inside `core.changes.audit_context`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext

from core.duplicates import dismissals, relations
from core.duplicates.combining import (
    CUSTOM,
    LISTS,
    Combination,
    State,
    columns_of,
    is_reference_to,
    merging_of,
    selectable,
    state_of,
    to_json,
)
from core.duplicates.models import Merge
from core.entities import Column, Entity, entity_of, writing
from core.entities.aliases import survivors_of
from core.entities.cleaning import clean_value
from core.entities.custom import PREFIX
from core.entities.models import RecordAlias
from core.errors import ConflictError, FieldIssue, ForbiddenError, InvalidError, ValueRefusedError


@dataclass(frozen=True)
class MergeRequest:
    """Which records become which, and whose value wins where that is not the survivor's."""

    survivor: int
    merged: Sequence[int]
    fields: Mapping[str, int] = field(default_factory=dict)

    @property
    def ids(self) -> list[int]:
        return [self.survivor, *self.merged]


def merge(
    entity: Entity, asked: MergeRequest, user: Any, check: Callable[[Sequence[Any]], None] = lambda _: None
) -> Merge:
    """Merge records that `user` may change. `check` looks at them, locked, the survivor first.

    Raises InvalidError, ForbiddenError, ConflictError where one was merged or changed at the same time.
    """
    records = _locked(entity, asked, user)
    check(records)
    # What the user may not see is merged as well; it is theirs to choose what they may change.
    return _Merging(entity_of(entity.model), entity.for_user(user), asked, user, records).run()


def _locked(entity: Entity, asked: MergeRequest, user: Any) -> list[Any]:
    """The records under lock, the survivor first; none that changed while this waited for it."""
    if len(set(asked.ids)) != len(asked.ids):
        raise InvalidError.of("merged", gettext("Name each record once, the survivor apart."), "given_twice")
    rows = entity.visible_to(user).filter(pk__in=asked.ids).order_by()
    seen = {row[0]: row[1:] for row in rows.values_list("pk", "version", "archived_at")}
    _refuse_gone(entity, asked, {pk for pk in seen if seen[pk][1]}, set(seen))
    found = writing.locked_many(entity, asked.ids, user)
    if any(record.version != seen[pk][0] for pk, record in found.items()):
        raise ConflictError(
            gettext("One of the records was changed at the same time."), code="changed_meanwhile"
        )
    if len(found) < len(seen):
        gone = set(rows.exclude(archived_at=None).values_list("pk", flat=True))
        _refuse_gone(entity, asked, gone, set(seen))
        raise ForbiddenError(gettext("You may see these records but not change all of them."))
    if not all(entity.model.policy.owns(user, writing.values_of(found[pk])) for pk in asked.merged):
        raise ForbiddenError(
            gettext("What is only shared with you is not yours to merge into another record.")
        )
    return [found[pk] for pk in asked.ids]


def _refuse_gone(entity: Entity, asked: MergeRequest, gone: Collection[int], seen: Collection[int]) -> None:
    """Raises ConflictError for records that were merged already, InvalidError for others that are not there
    for the user."""
    survivors = survivors_of(entity, gone) if gone else {}
    if survivors:
        issues = [
            FieldIssue(_place(asked, pk), "merged", writing.MERGED.format(survivors[pk]))
            for pk in asked.ids
            if pk in survivors
        ]
        raise ConflictError(gettext("Some of the records were merged already."), code="merged", issues=issues)
    missing = [pk for pk in asked.ids if pk in gone or pk not in seen]
    if missing:
        message = gettext("There is no such %(name)s.") % {"name": entity.name}
        raise InvalidError([FieldIssue(_place(asked, pk), "does_not_exist", message) for pk in missing])


def _place(asked: MergeRequest, pk: int) -> str:
    """Where the request names a record."""
    return "survivor" if pk == asked.survivor else f"merged[{asked.merged.index(pk)}]"


class _Merging:
    """One merge of locked records."""

    def __init__(
        self, entity: Entity, seen: Entity, asked: MergeRequest, user: Any, records: Sequence[Any]
    ) -> None:
        self.entity, self.asked, self.user = entity, asked, user
        self.survivor, *self.others = records
        self.states = [state_of(entity, record) for record in records]
        self._check_fields(seen)
        self.combination = Combination(entity, asked.ids, self.states, asked.fields)

    def run(self) -> Merge:
        merge = self._begun()
        relations.move(merge, self.entity)
        merged = self.entity.model.objects.filter(pk__in=self.asked.merged)
        merged.update(archived_at=timezone.now())
        former = self.survivor.external_id
        writing.save_clean(self.entity, self.survivor, self._values(), self.user)
        self._keep_ids(merge, former)
        dismissals.pass_on(self.entity, merge)
        # As the triggers have left it, who count along what moves.
        self.survivor.refresh_from_db()
        merge.after = to_json(state_of(self.entity, self.survivor))
        merge.save(update_fields=["after"])
        return merge

    def _check_fields(self, seen: Entity) -> None:
        """Raises InvalidError for choices that are none, or are not for whom the entity is limited for."""
        known = selectable(seen)
        out_of_reach = seen.hidden_keys | seen.locked_keys
        keys = {key for state in self.states for key in state[CUSTOM]} - out_of_reach
        custom = {PREFIX + key for key in keys}
        issues = []
        for name, pk in self.asked.fields.items():
            if name not in known and name not in custom:
                message = gettext("Cannot be chosen. Known: %(known)s.") % {
                    "known": ", ".join((*known, *sorted(custom)))
                }
                issues.append(FieldIssue(f"fields.{name}"[:120], "unknown_field", message))
            elif pk not in self.asked.ids:
                issues.append(
                    FieldIssue(f"fields.{name}", "invalid_choice", gettext("Name one of the records."))
                )
        if issues:
            raise InvalidError(issues)

    def _begun(self) -> Merge:
        before, *sources = map(to_json, self.states)
        return Merge.objects.create(
            entity=self.entity.name,
            object_id=self.asked.survivor,
            merged_ids=list(self.asked.merged),
            fields=dict(self.asked.fields),
            before=before,
            sources=dict(zip(map(str, self.asked.merged), sources, strict=True)),
            merged_by=self.user,
        )

    def _values(self) -> State:
        """What the survivor gets, as the entity's rules allow it. Raises InvalidError."""
        values = self.combination.run()
        for column in columns_of(self.entity):
            if is_reference_to(self.entity, column) and column.name not in self.asked.fields:
                values[column.path] = self._above(column)
        before = writing.values_of(self.survivor)
        settled = self._settled(values)
        changed = {path: value for path, value in values.items() if before[path] != value}
        self._check_lists(changed)
        ruled = {path: value for path, value in changed.items() if path not in settled}
        for rule in self.entity.rules:
            rule(ruled, before | settled)
        return changed | ruled

    def _settled(self, values: State) -> State:
        """What comes along with something that nobody writes (how a lead was converted): the rules take it as
        it is."""
        columns = self.combination.columns
        return {
            columns[name].path: values[columns[name].path]
            for group in merging_of(self.entity).together
            if not any(columns[name].writable for name in group.decided_by)
            and any(values[columns[name].path] for name in group.decided_by)
            for name in group.names
        }

    def _check_lists(self, changed: State) -> None:
        """Lists are united; there may be too much in them. Raises InvalidError."""
        issues = []
        for column in columns_of(self.entity):
            if column.path in changed and isinstance(column.field_type, LISTS):
                try:
                    clean_value(column, changed[column.path])
                except ValueRefusedError as error:
                    issues.append(FieldIssue(f"fields.{column.name}", error.code, error.message))
        if issues:
            raise InvalidError(issues)

    def _above(self, column: Column) -> int | None:
        """The first record that one of them refers to in its own table and that is not below the survivor."""
        given = [state[column.path] for state in self.states]
        candidates = [pk for pk in dict.fromkeys(given) if pk and pk not in self.asked.ids]
        below = below_of(self.entity, column, self.asked.survivor, candidates)
        return next((pk for pk in candidates if pk not in below), None)

    def _keep_ids(self, merge: Merge, former: str) -> None:
        """All former ids answer from now on with the survivor."""
        ids = [(record.pk, record.external_id) for record in self.others]
        if former and former != self.survivor.external_id:
            ids.append((None, former))
        RecordAlias.objects.bulk_create(
            RecordAlias(
                entity=self.entity.name,
                object_id=self.asked.survivor,
                merged_id=pk,
                external_id=external_id,
                merge_id=merge.pk,
            )
            for pk, external_id in ids
        )


_ABOVE = """
WITH RECURSIVE above (start, id) AS (
    SELECT c, c FROM unnest(%s::bigint[]) AS c
    UNION SELECT a.start, t.{column} FROM above a JOIN {table} t ON t.id = a.id WHERE t.{column} IS NOT NULL
) SELECT DISTINCT start FROM above WHERE id = %s
"""


def below_of(entity: Entity, column: Column, pk: int, candidates: Sequence[int]) -> set[int]:
    """Those of `candidates` that stand below the record `pk`, or are it, in the tree that a column makes."""
    if not candidates:
        return set()
    statement = _ABOVE.format(column=column.path, table=entity.model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(candidates), pk])
        return {row[0] for row in cursor.fetchall()}
