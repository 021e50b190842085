"""What templates and conditions of a run read: its record, what changed, plain facts. Always plain dicts."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone

from core.accounts.models import User
from core.changes.models import Change
from core.conditions import change_q, parse, record_q
from core.entities import Entity, entities, field_types
from core.entities.zones import record_zone, zone_among
from core.errors import NotVisibleError
from core.workflows.batch import RecordBatch, TransactionCache
from core.workflows.models import WorkflowExecution
from core.workflows.templating import Names, paths_read

PERSON = {"id": {}, "username": {}, "first_name": {}, "last_name": {}, "full_name": {}, "email": {}}
ALWAYS: Names = {
    "now": {},
    "today": {},
    "workflow": {"id": {}, "name": {}},
    "run": {"id": {}},
    "site": {"name": {}, "url": {}},
    "trigger": {"type": {}, "kind": {}, "at": {}, "actor": PERSON},
    "payload": None,
}


def names_for(entity: Entity | None, *, changes: bool = False) -> Names:
    """What templates of a workflow about `entity` may read."""
    found: dict[str, Any] = dict(ALWAYS)
    if entity is None:
        return found
    record = {
        c.name: None if isinstance(c.field_type, field_types.Json | field_types.TextList) else {}
        for c in entity.columns
    }
    found |= {entity.name: record, "record": record, "user": PERSON}
    found |= {c.name: PERSON for c in person_columns(entity)}
    if changes:
        found |= {"old": dict.fromkeys(record)}
    return found


def person_columns(entity: Entity) -> list[Any]:
    """The columns that name a user, under whose names templates find that user."""
    return [
        c
        for c in entity.columns
        if isinstance(c.field_type, field_types.Reference) and c.field_type.target == "user"
    ]


def columns_read(entity: Entity | None, raw: Any) -> frozenset[str] | None:
    """The columns of its record that a step needs to render a JSON value; None stands for all."""
    people = {c.name for c in person_columns(entity)} if entity else set()
    found = {"id", "owner", "assigned_to", "archived_at"}
    for path in paths_read(raw):
        root, _, below = path.partition(".")
        if root in people:
            found.add(root)
        elif entity is not None and root in (entity.name, "record"):
            if not below:
                return None
            found.add(below.partition(".")[0])
    return frozenset(found)


def plain(value: Any) -> Any:
    """A value as templates and JSON take it."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def person(user: User | None) -> dict[str, Any]:
    if user is None:
        return dict.fromkeys(PERSON, "")
    full_name = user.get_full_name() or user.username
    own = {name: getattr(user, name) for name in ("id", "username", "first_name", "last_name", "email")}
    return own | {"full_name": full_name}


class Lazy(Mapping[str, Any]):
    """Names read from the database when a template first asks for them."""

    def __init__(self, makers: Mapping[str, Callable[[], Any]]) -> None:
        self.makers, self.made = makers, {}

    def __getitem__(self, name: str) -> Any:
        if name not in self.made:
            self.made[name] = self.makers[name]()
        return self.made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.makers)

    def __len__(self) -> int:
        return len(self.makers)


class Subject:
    """The record of a run as its principal sees it. `user` None is the system itself; `batch` are the runs it
    is read together with."""

    def __init__(
        self,
        run: WorkflowExecution,
        user: User | None,
        trigger_type: str = "",
        batch: RecordBatch | None = None,
        schedule_zone: str = "",
    ) -> None:
        self.run, self.user, self.trigger_type = run, user, trigger_type
        self.schedule_zone = schedule_zone
        self.entity = entities.get(run.entity)
        self.pk = run.object_id
        self.batch = batch or RecordBatch(self.entity, [self.pk] if self.pk else [], TransactionCache(user))

    @property
    def rows(self) -> Any:
        """The record as a queryset, empty where the principal does not see it."""
        if self.entity is None:
            raise NotVisibleError("This run is about no record.")
        return self.batch.visible.filter(pk=self.pk)

    @property
    def belonging(self) -> tuple[int | None, int | None]:
        """Whom the record is assigned to, and its owner."""
        row = self.batch.row(self.pk) or {}
        return row.get("assigned_to"), row.get("owner")

    @property
    def zone(self) -> ZoneInfo:
        """Where "today" is for this run."""
        assignee, owner = (self.batch.cache.users.get(pk) for pk in self.belonging)
        return zone_among(assignee, self.schedule_zone, owner)

    @cached_property
    def change(self) -> Change | None:
        return Change.objects.filter(pk=self.run.change_id).first() if self.run.change_id else None

    @property
    def record(self) -> dict[str, Any]:
        """The record by public names, those its batch asks for; of a deleted one what it last was. Raises
        NotVisibleError."""
        found = self.batch.row(self.pk)
        if found:
            return {name: plain(value) for name, value in found.items()}
        if self.change is not None and self.change.kind == Change.Kind.DELETED:
            return self.old | {"id": self.pk}
        raise NotVisibleError("The record is not there, or not visible to whom the workflow acts as.")

    @property
    def old(self) -> dict[str, Any]:
        """The former values of what changed, by public names."""
        names = self.entity.public_names if self.entity else {}
        changes = self.change.changes if self.change else {}
        return {names.get(key, key): pair[0] for key, pair in changes.items()}

    def meets(self, conditions: Any, *, changes: bool = False) -> bool:
        """Whether the record, as it is now, meets conditions. Those about the change look at the change."""
        if not conditions:
            return True
        condition = parse(self.entity, conditions, changes=changes and self.run.change_id is not None)
        if changes and self.run.change_id is not None:
            return Change.objects.filter(
                change_q(self.entity, condition, record_zone(self.schedule_zone)), pk=self.run.change_id
            ).exists()
        return self.rows.filter(record_q(condition, record_zone(self.schedule_zone))).exists()

    @cached_property
    def context(self) -> Lazy:
        """The names of `names_for`, each read when first asked for."""
        makers: dict[str, Callable[[], Any]] = {
            "now": lambda: timezone.now().isoformat(),
            "today": lambda: timezone.localdate(timezone=self.zone).isoformat(),
            "workflow": lambda: {"id": self.run.workflow_id, "name": self.run.workflow.name},
            "run": lambda: {"id": self.run.pk},
            "site": lambda: {"name": settings.SITE_NAME, "url": settings.PUBLIC_URL},
            "trigger": self._trigger,
            "payload": lambda: self.run.trigger_data,
            "user": lambda: person(self.user),
        }
        if self.entity is not None:
            makers |= {
                self.entity.name: lambda: self.record,
                "record": lambda: self.context[self.entity.name],
            }
            makers |= {"old": lambda: self.old}
            makers |= {c.name: self._person_maker(c.name) for c in person_columns(self.entity)}
        return Lazy(makers)

    def _trigger(self) -> dict[str, Any]:
        change = self.change
        actor = self.batch.cache.users.get(change.actor_id) if change else None
        at = change.at if change else self.run.created_at
        return {
            "type": self.trigger_type,
            "kind": change.kind if change else "",
            "at": plain(at),
            "actor": person(actor),
        }

    def _person_maker(self, name: str) -> Callable[[], Any]:
        def make() -> dict[str, Any]:
            return person(self.batch.cache.users.get(self.context["record"].get(name)))

        return make
