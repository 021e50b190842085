"""Taking back what one session changed, field by field, as undoing an import does.

Read from the change table. A field that is still as the session left it gets the value it had before; one
that somebody changed since stays. What the session created is archived, or deleted where there is no archive,
unless somebody changed it since. All that stays is named with the reason.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from core.access import Permission
from core.activities.models import Activity, Comment
from core.agents import undo_queries
from core.agents.models import AgentSession
from core.changes import audit_context
from core.changes.models import Change
from core.conf import conf
from core.entities import entities, writing
from core.errors import ConflictError
from core.models import capture
from core.models.engagement import COLUMNS

ARCHIVED = "archived_at"
CUSTOM = "custom_fields"
# Counters that triggers lower by themselves when what they count is deleted.
COUNTED = frozenset(COLUMNS) - {"last_contacted_at"}
ATTACHED = {"activity": Activity, "comment": Comment}


@dataclass
class Effect:
    """What a session did to one row: whether it created or deleted it, and each field as it was before the
    session and as the session left it."""

    entity: str
    pk: int
    created: bool = False
    deleted: bool = False
    last: int = 0
    old: dict[str, Any] = field(default_factory=dict)
    new: dict[str, Any] = field(default_factory=dict)

    def add(self, change: Change) -> None:
        self.created |= change.kind == Change.Kind.CREATED
        self.deleted |= change.kind == Change.Kind.DELETED
        self.last = change.pk
        for name, (old, new) in change.changes.items():
            self.old.setdefault(name, old)
            self.new[name] = new


@dataclass
class Undone:
    """What undoing came to."""

    removed: int = 0
    restored: int = 0
    kept: list[dict[str, Any]] = field(default_factory=list)

    def keep(self, effect: Effect, reason: str, message: str, fields: Iterable[str] = ()) -> None:
        named = {"entity": effect.entity, "id": effect.pk, "fields": sorted(fields)}
        self.kept.append(named | {"reason": reason, "message": message})


def undo(session_id: int, user: Any) -> AgentSession:
    """Take back what `user` may change of what the session did, in the caller's transaction. The session
    ends: a call that is under way is waited for, and none comes after. Raises ConflictError."""
    session = AgentSession.objects.select_for_update(of=("self",)).select_related("grant").get(pk=session_id)
    if session.undone_at is not None:
        raise ConflictError("This session is undone already.", code="undone")
    if session.last_used_at < timezone.now() - timedelta(days=conf.AGENT_UNDO_DAYS):
        raise ConflictError(f"Sessions can be undone for {conf.AGENT_UNDO_DAYS} days.", code="too_late")
    found = Undone()
    with audit_context(user, automation=False):
        for effect in effects(session):
            SessionUndo(session, user, found).take_back(effect)
    session.ended_at = session.ended_at or timezone.now()
    session.undone_at, session.undone_by = timezone.now(), user
    session.undone = vars(found)
    session.save(update_fields=["ended_at", "undone_at", "undone_by", "undone"])
    return session


def effects(session: AgentSession) -> list[Effect]:
    """What the session did to each row: what it created comes last, for others refer to it until then. Parts
    of a record go and come with it."""
    found: dict[tuple[str, int], Effect] = {}
    rows = Change.objects.filter(agent_session_id=session.pk).order_by("id")
    for change in rows.exclude(entity__in=list(capture.PARTS)):
        key = change.entity, change.object_id
        found.setdefault(key, Effect(*key)).add(change)
    return sorted(found.values(), key=lambda effect: (effect.created, effect.entity, effect.pk))


def model_of(entity: str) -> Any:
    """The model that changes are recorded of under a name; None where a session's changes of it stay."""
    return entities[entity].model if entity in entities else ATTACHED.get(entity)


class SessionUndo:
    """The undoing of one row after the other."""

    def __init__(self, session: AgentSession, user: Any, found: Undone) -> None:
        self.session, self.user, self.found = session, user, found

    def take_back(self, effect: Effect) -> None:
        model = model_of(effect.entity)
        if model is None or effect.deleted:
            self.found.keep(effect, "not_undone", "This kind of change is not taken back.")
            return
        row = model._default_manager.select_for_update(of=("self",)).filter(pk=effect.pk).first()
        if row is None:
            return  # deleted since: nothing is left to take back
        if not self._is_permitted(model, effect.pk):
            self.found.keep(effect, "permission_denied", "No longer yours to change.")
        elif effect.created:
            self._remove(effect, row)
        else:
            self._restore(effect, row)

    def _is_permitted(self, model: Any, pk: int) -> bool:
        rows = model._default_manager.filter(model.policy.scope(self.user, Permission.CHANGE), pk=pk)
        return rows.exists()

    def _remove(self, effect: Effect, row: Any) -> None:
        if undo_queries.changed_since(effect.entity, effect.pk, self.session.pk, _derived(type(row))):
            self.found.keep(effect, "changed_since", "Changed by others since.")
        elif effect.entity in ATTACHED:
            row.delete()
            self.found.removed += 1
        elif row.archived_at is None:
            writing.archive(row)
            self.found.removed += 1

    def _restore(self, effect: Effect, row: Any) -> None:
        present = undo_queries.present(_table(row), effect.pk)
        wanted, taken = _as_before(effect, present)
        if wanted:
            try:
                with transaction.atomic():
                    undo_queries.write(_table(row), effect.pk, wanted)
                self.found.restored += 1
            except IntegrityError:
                self.found.keep(
                    effect, "refused", "Its old values are taken by now, or refer to what is gone."
                )
                return
        if taken:
            self.found.keep(effect, "changed_since", "Changed by others since.", taken)


def _as_before(effect: Effect, present: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The columns to write, each as it was before the session, and the names of those that somebody changed
    since. Custom fields are looked at one by one."""
    wanted: dict[str, Any] = {}
    taken: list[str] = []
    for name in effect.old.keys() - COUNTED:
        old, new, now = effect.old[name], effect.new[name], present.get(name)
        if name == CUSTOM:
            wanted[name], changed = _custom_as_before(old or {}, new or {}, now or {})
            taken += changed
        elif now == new:
            wanted[name] = old
        elif now != old:
            taken.append(name)
    return {name: value for name, value in wanted.items() if value != present.get(name)}, taken


def _custom_as_before(
    old: dict[str, Any], new: dict[str, Any], now: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    made, taken = dict(now), []
    for key in {*old, *new}:
        if old.get(key) == new.get(key):
            continue
        if now.get(key) == new.get(key):
            made[key] = old.get(key)
        elif now.get(key) != old.get(key):
            taken.append(f"{CUSTOM}.{key}")
    return {key: value for key, value in made.items() if value is not None or key in old}, taken


def _derived(model: Any) -> list[str]:
    """Columns that the system fills by itself: a change of these alone is nobody's."""
    found = next((entity for entity in entities if entity.model is model), None)
    if found is None:
        return []
    writable = {column.path for column in found.columns if column.writable}
    columns = [f for f in model._meta.concrete_fields if f.attname not in writable]
    return [f.column for f in columns if f.attname != ARCHIVED]


def _table(row: Any) -> str:
    return connection.ops.quote_name(type(row)._meta.db_table)
