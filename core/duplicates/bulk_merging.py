"""Merging groups of records that are exactly the same, many at once, and seeing first what that would do.

Call inside `core.changes.audit_context`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from core.changes.history import shown_changes
from core.duplicates.combining import columns_of
from core.duplicates.groups import hidden_reasons, pairs_among
from core.duplicates.merging import MergeRequest, merge
from core.duplicates.models import Merge
from core.duplicates.reasons import FoundPairs, Pair, pairs_of, reasons_of
from core.entities import Entity, entity_of, writing
from core.errors import ConflictError, DomainError

# Groups of one request, and their records.
AT_MOST_GROUPS, AT_MOST_RECORDS = 100, 500
NOT_EXACT = gettext_noop(
    "They are not all the same by a rule that is exact, or somebody said that two of them are not."
)


@dataclass(frozen=True)
class MergedGroup:
    """What became of one group, the survivor first: the merge and what it changed in the survivor, by field
    as [old, new], or why it was refused."""

    ids: Sequence[int]
    merge: Merge | None = None
    changes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    error: DomainError | None = None


def merge_groups(
    entity: Entity, groups: Sequence[Sequence[int]], user: Any, *, dry_run: bool = False
) -> list[MergedGroup]:
    """Merge each group into the first of its records, where all of them are exactly the same as they are
    stored now; one that is refused keeps no other from it. With `dry_run` nothing stays done."""
    locked = writing.locked_many(entity, [pk for ids in groups for pk in ids], user)
    same = _exact_pairs(entity, locked, user)
    return [
        # What was not the user's to change was not compared: merging says why, unless it is theirs by now.
        _merged(entity, ids, user, same if locked.keys() >= set(ids) else (), dry_run)
        for ids in groups
    ]


def _exact_pairs(entity: Entity, records: Mapping[int, Any], user: Any) -> set[Pair]:
    """The pairs of these that are exactly the same in something that the user sees, and that nobody
    dismissed."""
    rows = [writing.values_of(record) for record in records.values()]
    hidden = hidden_reasons(entity, user)
    exact = [r for r in reasons_of(entity) if r.question.threshold is None and r.name not in hidden]
    found: FoundPairs = pairs_of(exact, rows) if exact else FoundPairs()
    dismissed = pairs_among(entity, records).exclude(dismissed_at=None).values_list("low_id", "high_id")
    return found.pairs.keys() - set(dismissed)


def _merged(
    entity: Entity, ids: Sequence[int], user: Any, same: Collection[Pair], dry_run: bool
) -> MergedGroup:
    """`same` are the pairs that are the same."""

    def check(_records: Sequence[Any]) -> None:
        if not all(pair in same for pair in combinations(sorted(ids), 2)):
            raise ConflictError(_(NOT_EXACT), code="not_exact")

    try:
        with transaction.atomic():
            made = merge(entity, MergeRequest(ids[0], ids[1:]), user, check)
            transaction.set_rollback(dry_run)
    except DomainError as error:
        return MergedGroup(ids, error=error)
    return MergedGroup(ids, made, _changes(entity.for_user(user), made))


def _changes(entity: Entity, made: Merge) -> dict[str, Sequence[Any]]:
    """What changed of what whom the entity is limited for may see."""
    paths = [column.path for column in columns_of(entity_of(entity.model))]
    changes = {path: [made.before.get(path), made.after.get(path)] for path in paths}
    changed = {path: values for path, values in changes.items() if values[0] != values[1]}
    shown = shown_changes(changed, entity)
    return {name: [values["old"], values["new"]] for name, values in shown.items()}
