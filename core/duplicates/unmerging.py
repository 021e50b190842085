"""Undoing a merge: its records are as they were, and keep what was changed since.

Merges into one survivor can be undone in any order: those that came later are worked out anew without it.
Where the survivor was itself merged into another record, that merge is undone first.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core.access import Permission
from core.conf import conf
from core.duplicates import dismissals, relations
from core.duplicates.combining import (
    Combination,
    State,
    columns_of,
    from_json,
    is_reference_to,
    rebase,
    state_of,
    to_json,
)
from core.duplicates.merging import below_of
from core.duplicates.models import Merge, MergeMove
from core.entities import Entity, writing
from core.entities.aliases import survivor_of
from core.entities.cleaning import taken, unique_values
from core.entities.models import RecordAlias
from core.errors import ConflictError, ForbiddenError
from core.jobs import Turn

# Merges forgotten by one transaction, with all that each moved.
FORGET = 100


def undo_until(merge: Merge) -> Any:
    """Until when the merge can be undone."""
    return merge.merged_at + timedelta(days=conf.MERGE_UNDO_DAYS)


def undo(entity: Entity, pk: int, user: Any) -> Merge:
    """Undo the merge `pk` of records that `user` may change, in the caller's transaction.

    Raises ConflictError where it cannot be undone (any more), ForbiddenError. Call inside `audit_context`.
    """
    asked = Merge.objects.get(pk=pk)
    survivor, others = _locked(entity, asked, user)
    found = Merge.objects.filter(entity=entity.name, object_id=asked.object_id, undone_at=None, pk__gte=pk)
    merges = list(found.order_by("pk").select_for_update())
    if not merges or merges[0].pk != pk:
        raise ConflictError(_("This merge is undone already."), code="undone")
    if undo_until(merges[0]) < timezone.now():
        raise ConflictError(
            ngettext(
                "Merges can be undone for %(n)s day.",
                "Merges can be undone for %(n)s days.",
                conf.MERGE_UNDO_DAYS,
            )
            % {"n": conf.MERGE_UNDO_DAYS},
            code="too_late",
        )
    _Undoing(entity, merges, user, survivor, others).run()
    return merges[0]


def _locked(entity: Entity, merge: Merge, user: Any) -> tuple[Any, list[Any]]:
    """The survivor and those of the merged records that are there still, under lock."""
    rows = entity.model.objects.filter(pk__in=merge.record_ids)
    found = {r.pk: r for r in rows.order_by("pk").select_for_update(of=("self",))}
    allowed = entity.visible_to(user, Permission.CHANGE).filter(pk__in=found)
    if len(found) != allowed.count():
        raise ForbiddenError(_("You may not change all records of this merge."))
    merged = [row for pk, row in found.items() if pk != merge.object_id]
    if not all(entity.model.policy.owns(user, writing.values_of(row)) for row in merged):
        raise ForbiddenError(_("What is only shared with you is not yours to take out of a merge."))
    further = survivor_of(entity, merge.object_id)
    if further is not None:
        message = _("Its survivor was merged into %(further)s: undo that merge first.") % {"further": further}
        raise ConflictError(message, code="merged")
    survivor = found.pop(merge.object_id, None)
    if survivor is None or not found:
        raise ConflictError(_("The records were deleted for good."), code="deleted")
    return survivor, list(found.values())


class _Undoing:
    """The undoing of the first of `merges`, which are all into one survivor."""

    def __init__(
        self, entity: Entity, merges: Sequence[Merge], user: Any, survivor: Any, others: Sequence[Any]
    ) -> None:
        self.entity, self.user = entity, user
        self.merge, *self.later = merges
        self.survivor, self.others = survivor, list(others)

    def run(self) -> None:
        state = self._state_without()
        kept = {record.pk: state_of(self.entity, record) for record in self.others}
        relations.move_back(self.merge, self.entity, kept)
        # What a record refers to in its own table is looked at once all stand where they belong.
        self._without_cycles(self.survivor.pk, state)
        writing.save_clean(self.entity, self.survivor, state, self.user)
        RecordAlias.objects.filter(merge_id=self.merge.pk).delete()
        self._restore()
        for later in self.later:
            # What stayed behind because the survivor had it already, and has it no more.
            relations.move(later, self.entity)
        self._keep(kept)
        dismissals.give_back(self.entity, self.merge)
        self.merge.undone_at = timezone.now()
        self.merge.save(update_fields=["undone_at"])

    def _state_without(self) -> State:
        """The survivor's state as it would be had there been no such merge, with all changes since."""
        old, new = self._stored(self.merge.after), self._stored(self.merge.before)
        for later in self.later:
            before, after = self._stored(later.before), self._stored(later.after)
            without = rebase(self.entity, old, new, before)
            made, anew = self._combined(later, before), self._combined(later, without)
            old, new = after, rebase(self.entity, made, anew, after)
            later.before, later.after = to_json(without), to_json(new)
            later.save(update_fields=["before", "after"])
        return rebase(self.entity, old, new, state_of(self.entity, self.survivor))

    def _stored(self, state: State) -> State:
        return from_json(self.entity, state)

    def _combined(self, merge: Merge, before: State) -> State:
        states = [before, *map(self._stored, merge.sources_in_order())]
        return Combination(self.entity, merge.record_ids, states, merge.fields).run()

    def _without_cycles(self, pk: int, state: State) -> None:
        """What was put below a record since is not put above it again."""
        for column in columns_of(self.entity):
            given = state.get(column.path)
            if given and is_reference_to(self.entity, column):
                below = below_of(self.entity, column, pk, [given])
                state[column.path] = None if given in below else given

    def _restore(self) -> None:
        """Bring the others back. Raises ConflictError where a unique value was taken meanwhile."""
        for pk, values in unique_values(self.entity, self.others).items():
            if taken(self.entity, pk, values):
                message = _("Another record has one of the unique values of %(pk)s by now.") % {"pk": pk}
                raise ConflictError(message, code="unique")
        pks = [record.pk for record in self.others]
        self.entity.model.objects.filter(pk__in=pks).update(archived_at=None)
        writing.ensure_still_permitted(self.entity, pks, self.user)

    def _keep(self, kept: dict[int, State]) -> None:
        """The others are as they were: what triggers counted when it came back was counted there before."""
        for record in self.others:
            state = kept[record.pk]
            self._without_cycles(record.pk, state)
            found = self.entity.model.objects.get(pk=record.pk)
            writing.save_clean(self.entity, found, state, self.user)


def forget_old(turn: Turn) -> int:
    """Forget what it would take to undo the merges whose time is over, some at a time until the turn is over;
    returns how many."""
    before = timezone.now() - timedelta(days=conf.MERGE_UNDO_DAYS)
    old = Merge.objects.filter(merged_at__lt=before).exclude(after={})
    total = 0
    while not turn.is_over and (ids := list(old.order_by("pk").values_list("pk", flat=True)[:FORGET])):
        with transaction.atomic():
            MergeMove.objects.filter(merge__in=ids).delete()
            total += Merge.objects.filter(pk__in=ids).update(before={}, after={}, sources={})
    return total
