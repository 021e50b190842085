"""Taking back what one session changed, field by field, as undoing an import does.

Read from the change table. A field that is still as the session left it gets the value it had before; one
that somebody changed since stays, and so does one that the role of whoever undoes may not see or not change.
What the session created is archived, or deleted where there is no archive, unless somebody changed it since.
Parts of records (core.agents.parts) are taken back one by one. All that stays is named with the reason.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from core.access import Permission, scopes
from core.activities.models import Activity, Comment
from core.agents import parts, undo_queries
from core.agents.models import AgentSession
from core.agents.parts import PartEffect
from core.changes import audit_context
from core.changes.models import Change
from core.conf import conf
from core.entities import Column, Entity, entities, writing
from core.entities.field_types import Reference
from core.entities.reading import resource_named
from core.errors import ConflictError
from core.models import capture
from core.models.engagement import COLUMNS
from core.workflows.engine import runs_of_session
from core.workflows.models import WorkflowExecution

ARCHIVED = "archived_at"
CUSTOM = "custom_fields"
# Before the key of a custom field, among the names of what a session changed.
CUSTOM_KEY = f"{CUSTOM}."
# Counters that triggers lower by themselves when what they count is deleted.
COUNTED = frozenset(COLUMNS) - {"last_contacted_at"}
ATTACHED = {"activity": Activity, "comment": Comment}
# What scopes call these.
ATTACHED_RESOURCES = {"activity": "activities", "comment": "comments"}
# What these are about.
ABOUT = frozenset(("entity", "object_id"))
NOT_TAKEN_BACK = "This kind of change is not taken back."
RUN_STAYS = "What a workflow did is not taken back."
Values = dict[str, Any]
# An entity's name and an id.
Ref = tuple[str, int]


@dataclass
class Effect:
    """What a session did to one row: whether it created or deleted it, and each field (custom ones one by
    one) as it was before the session and as the session left it."""

    entity: str
    pk: int
    created: bool = False
    deleted: bool = False
    last: int = 0
    old: Values = field(default_factory=dict)
    new: Values = field(default_factory=dict)

    def add(self, change: Change) -> None:
        """A field that somebody else changed between two changes of the session was theirs by then: what they
        made of it is what it was before."""
        self.created |= change.kind == Change.Kind.CREATED
        self.deleted |= change.kind == Change.Kind.DELETED
        self.last = change.pk
        for name, old, new in _field_by_field(change):
            if name not in self.old or self.new[name] != old:
                self.old[name] = old
            self.new[name] = new

    @property
    def resource(self) -> str:
        """What scopes call it."""
        return ATTACHED_RESOURCES.get(self.entity) or resource_named(self.entity)

    @property
    def action(self) -> Permission:
        """What taking it back is for who asks for it."""
        return Permission.DELETE if self.created or ARCHIVED in self.old else Permission.CHANGE


def _field_by_field(change: Change) -> Iterator[tuple[str, Any, Any]]:
    for name, (old, new) in change.changes.items():
        if name != CUSTOM:
            yield name, old, new
            continue
        before, after = old or {}, new or {}
        for key in {*before, *after}:
            if before.get(key) != after.get(key):
                yield f"{CUSTOM_KEY}{key}", before.get(key), after.get(key)


@dataclass
class Undone:
    """What undoing came to."""

    removed: int = 0
    restored: int = 0
    kept: list[dict[str, Any]] = field(default_factory=list)

    def keep(
        self, effect: Effect | PartEffect, reason: str, message: str, fields: Iterable[str] = ()
    ) -> None:
        named = {"entity": effect.entity, "id": effect.pk, "fields": sorted(fields)}
        self.kept.append(named | {"reason": reason, "message": message})


def undo(session_id: int, user: Any) -> AgentSession:
    """Take back what `user` may change of what the session did, in the caller's transaction. The session
    ends: a call that is under way is waited for, and none comes after. Raises ConflictError, and
    ScopeMissingError where a key speaks for the user that may not write all of it."""
    session = AgentSession.objects.select_for_update(of=("self",)).select_related("grant").get(pk=session_id)
    if session.undone_at is not None:
        raise ConflictError("This session is undone already.", code="undone")
    if session.last_used_at < _earliest():
        raise ConflictError(f"Sessions can be undone for {conf.AGENT_UNDO_DAYS} days.", code="too_late")
    wanted, found = effects(session), Undone()
    changed_parts = _changed_parts(session, wanted)
    resources = {effect.resource for effect in wanted}
    resources |= {capture.PARTS[part.entity].shows[0] for part in changed_parts}
    scopes.require(user, *sorted(resources), writing=True)
    with audit_context(user, automation=False):
        SessionUndo(session, user, found).run(wanted, changed_parts)
    for run in _runs(session):
        found.keep(Effect("execution", run), "not_undone", RUN_STAYS)
    for late in _grouped(_changes(session).filter(at__lt=_earliest())):
        found.keep(late, "not_undone", f"Changed more than {conf.AGENT_UNDO_DAYS} days ago.")
    session.ended_at = session.ended_at or timezone.now()
    session.undone_at, session.undone_by = timezone.now(), user
    session.undone = vars(found)
    session.save(update_fields=["ended_at", "undone_at", "undone_by", "undone"])
    return session


def _earliest() -> datetime:
    """What was changed before then stays."""
    return timezone.now() - timedelta(days=conf.AGENT_UNDO_DAYS)


def effects(session: AgentSession) -> list[Effect]:
    """What the session did to each row, as far as there is time to take it back: what it created comes last,
    for others refer to it until then."""
    found = _grouped(_changes(session).filter(at__gte=_earliest()).exclude(entity__in=list(capture.PARTS)))
    return sorted(found, key=lambda effect: (effect.created, effect.entity, effect.pk))


def _changed_parts(session: AgentSession, wanted: Iterable[Effect]) -> list[PartEffect]:
    """What the session did to parts of records. Those of a record that it created go with that."""
    created = {(effect.resource, effect.pk) for effect in wanted if effect.created}
    rows = _changes(session).filter(at__gte=_earliest(), entity__in=list(capture.PARTS))
    return [
        part
        for part in parts.part_effects(rows)
        if (capture.PARTS[part.entity].shows[0], part.pk) not in created
    ]


def _runs(session: AgentSession) -> Iterable[int]:
    """The workflow runs that the session started: by hand, or by what it changed."""
    by_change = Q(pk__in=[])
    for name in [entity.name for entity in entities]:
        made = dict(_changes(session).filter(entity=name).values_list("id", "object_id"))
        by_change |= Q(entity=name, object_id__in=set(made.values()), change_id__in=list(made))
    runs = WorkflowExecution.objects.filter(by_change).values_list("pk", flat=True)
    return sorted({*runs, *runs_of_session(session.pk, session.started_at)})


def _changes(session: AgentSession) -> QuerySet[Change]:
    return Change.objects.filter(agent_session_id=session.pk).order_by("id")


def _grouped(changes: QuerySet[Change]) -> list[Effect]:
    found: dict[tuple[str, int], Effect] = {}
    for change in changes:
        key = change.entity, change.object_id
        found.setdefault(key, Effect(*key)).add(change)
    return list(found.values())


def model_of(entity: str) -> Any:
    """The model that changes are recorded of under a name; None where a session's changes of it stay."""
    return entities[entity].model if entity in entities else ATTACHED.get(entity)


class SessionUndo:
    """The undoing of one row after the other."""

    def __init__(self, session: AgentSession, user: Any, found: Undone) -> None:
        self.session, self.user, self.found = session, user, found
        # What the session converted → into what.
        self.conversions: dict[Ref, set[Ref]] = {}

    def run(self, wanted: Sequence[Effect], changed_parts: Iterable[PartEffect]) -> None:
        """Records first, then their parts, which may name what the session created; that comes last."""
        self.conversions = _conversions(wanted)
        for effect in wanted:
            if not effect.created:
                self.take_back(effect)
        for part in changed_parts:
            self._take_back_part(part)
        for effect in wanted:
            if effect.created:
                self.take_back(effect)

    def take_back(self, effect: Effect) -> None:
        model = model_of(effect.entity)
        if model is None or effect.deleted:
            self.found.keep(effect, "not_undone", NOT_TAKEN_BACK)
            return
        row = model._default_manager.select_for_update(of=("self",)).filter(pk=effect.pk).first()
        if row is None:
            return  # deleted since: nothing is left to take back
        if not self._is_permitted(model, effect, row):
            self.found.keep(effect, "permission_denied", "No longer yours to change.")
        elif effect.created:
            self._remove(effect, row)
        else:
            self._restore(effect, row)

    def _is_permitted(self, model: Any, effect: Effect, row: Any) -> bool:
        """What a conversion only moved goes back with the record that it came from, whosever it is."""
        rows = model._default_manager.filter(model.policy.scope(self.user, effect.action), pk=effect.pk)
        return rows.exists() or self._is_moved(effect, row)

    def _is_moved(self, effect: Effect, row: Any) -> bool:
        """Whether the session only moved the row, converting a record that is the user's to change."""
        source, targets = _moved(effect, row)
        if source is None or targets.isdisjoint(self.conversions.get(source, ())):
            return False
        return self._may_change(source)

    def _is_moved_part(self, record: Ref | None) -> bool:
        """The same of a part: it names what was converted, or what that became."""
        if record is None:
            return False
        sources = [source for source, made in self.conversions.items() if record in {source, *made}]
        return any(map(self._may_change, sources)) and self._may_change(record)

    def _may_change(self, record: Ref) -> bool:
        return entities[record[0]].visible_to(self.user, Permission.CHANGE).filter(pk=record[1]).exists()

    def _take_back_part(self, part: PartEffect) -> None:
        holders = parts.holder_of(part.entity)
        if holders is None:
            self.found.keep(part, "not_undone", NOT_TAKEN_BACK)
            return
        if not holders._base_manager.select_for_update(of=("self",)).filter(pk=part.pk).exists():
            return  # deleted since, and its parts with it
        there = parts.present(part)
        if there == part.old:
            return
        if there != part.new:
            self.found.keep(part, "changed_since", "Changed by others since.")
        elif not (parts.is_reachable(part, self.user) or self._is_moved_part(parts.record_of(part))):
            self.found.keep(part, "permission_denied", "Not yours to change.")
        else:
            parts.restore(part)
            self.found.removed += part.old is None
            self.found.restored += part.old is not None

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
        known = entities[effect.entity].for_user(self.user) if effect.entity in entities else None
        present = undo_queries.present(undo_queries.table_of(row), effect.pk)
        wanted, taken = _as_before(effect, present)
        denied = self._denied(known, row, wanted) if known else set()
        written = {name: value for name, value in wanted.items() if name not in denied}
        if written and not self._written(effect, row, present, written):
            return
        hidden = _hidden(known) if known else frozenset()
        if denied:
            shown = _public(effect.entity, denied - hidden)
            self.found.keep(effect, "permission_denied", "Not yours to change.", shown)
        if taken - hidden:
            shown = _public(effect.entity, taken - hidden)
            self.found.keep(effect, "changed_since", "Changed by others since.", shown)

    def _denied(self, known: Entity, row: Any, wanted: Values) -> set[str]:
        """Those of the fields that are not the user's to change: hidden, read-only, or to whom the record
        belongs where it is only shared with them."""
        locked = {column.path for column in known.columns if column.locked}
        locked |= {f"{CUSTOM_KEY}{key}" for key in known.locked_keys}
        given = {column.path for column in known.user_columns if column.path in wanted}
        if not row.policy.gives_away(
            self.user, writing.values_of(row), {name: wanted[name] for name in given}
        ):
            given = set()
        return wanted.keys() & (locked | _hidden(known) | given)

    def _written(self, effect: Effect, row: Any, present: Values, wanted: Values) -> bool:
        """Whether the row has these values now; else it is named among those that stay."""
        columns = {name: value for name, value in wanted.items() if not name.startswith(CUSTOM_KEY)}
        if len(columns) < len(wanted):
            columns[CUSTOM] = _custom_values(present[CUSTOM] or {}, wanted)
        try:
            with transaction.atomic():
                undo_queries.write(undo_queries.table_of(row), effect.pk, columns)
                connection.check_constraints()  # foreign keys are deferred: else the commit would fail
        except IntegrityError:
            self.found.keep(effect, "refused", "Its old values are taken by now, or refer to what is gone.")
            return False
        self.found.restored += 1
        return True


def _references(entity: str) -> dict[str, Column]:
    return {c.path: c for c in entities[entity].columns if isinstance(c.field_type, Reference)}


def _conversions(wanted: Iterable[Effect]) -> dict[Ref, set[Ref]]:
    """What the session converted → into what: references that nobody writes by hand name it since."""
    found: dict[Ref, set[Ref]] = {}
    for effect in wanted:
        columns = _references(effect.entity) if effect.entity in entities else {}
        for path in columns.keys() & effect.old.keys():
            if not columns[path].writable and effect.old[path] is None and effect.new[path] is not None:
                made = (columns[path].field_type.target, effect.new[path])
                found.setdefault((effect.entity, effect.pk), set()).add(made)
    return found


def _moved(effect: Effect, row: Any) -> tuple[Ref | None, set[Ref]]:
    """The record that the row was about before the session and those that it is about since, where that is
    all that the session changed."""
    is_attached = effect.entity in ATTACHED
    columns = {} if is_attached else _references(effect.entity)
    if not effect.old.keys() <= (ABOUT if is_attached else columns.keys()):
        return None, set()
    if is_attached:
        present = {name: getattr(row, name) for name in ABOUT}
        old, new = (
            (side["entity"], side["object_id"]) for side in (present | effect.old, present | effect.new)
        )
        return old, {new}
    before, since = (
        {(columns[name].field_type.target, pk) for name, pk in side.items() if pk is not None}
        for side in (effect.old, effect.new)
    )
    return (before.pop() if len(before) == 1 else None), since


def _as_before(effect: Effect, present: Values) -> tuple[Values, set[str]]:
    """The fields to write, each as it was before the session, and the names of those that somebody changed
    since."""
    wanted: Values = {}
    taken: set[str] = set()
    for name in effect.old.keys() - COUNTED:
        old, now = effect.old[name], _present_value(present, name)
        if now == old:
            continue
        if now == effect.new[name]:
            wanted[name] = old
        else:
            taken.add(name)
    return wanted, taken


def _present_value(present: Values, name: str) -> Any:
    if name.startswith(CUSTOM_KEY):
        return (present[CUSTOM] or {}).get(name.removeprefix(CUSTOM_KEY))
    return present.get(name)


def _custom_values(present: Values, wanted: Values) -> Values:
    """All custom fields, with those that are taken back as they were; what was empty is gone."""
    given = {name.removeprefix(CUSTOM_KEY): wanted[name] for name in wanted if name.startswith(CUSTOM_KEY)}
    kept = {key: value for key, value in present.items() if key not in given}
    return kept | {key: value for key, value in given.items() if value is not None}


def _hidden(known: Entity) -> frozenset[str]:
    return known.hidden_paths | {f"{CUSTOM_KEY}{key}" for key in known.hidden_keys}


def _public(entity: str, names: Iterable[str]) -> list[str]:
    """Fields as the API calls them."""
    public = entities[entity].public_names if entity in entities else {}
    return [public.get(name, name) for name in names]


def _derived(model: Any) -> list[str]:
    """Columns that the system fills by itself: a change of these alone is nobody's."""
    found = next((entity for entity in entities if entity.model is model), None)
    if found is None:
        return []
    writable = {column.path for column in found.columns if column.writable}
    columns = [f for f in model._meta.concrete_fields if f.attname not in writable]
    return [f.column for f in columns if f.attname != ARCHIVED]
