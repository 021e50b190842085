"""What templates and conditions of a run read: its record, what changed, plain facts. Always plain dicts."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext

from core.accounts.models import User
from core.changes import past_states as past
from core.changes.history import shown_changes
from core.changes.models import Change
from core.conditions import change_q, parse, record_q
from core.entities import Entity, entities, field_types
from core.entities.custom import definitions
from core.entities.entity import CUSTOM_VALUES
from core.entities.zones import record_zone, zone_among
from core.errors import NotVisibleError, ValueRefusedError
from core.workflows.batch import RecordBatch, TransactionCache
from core.workflows.models import WorkflowExecution
from core.workflows.templating import Names, paths_read

PERSON: Names = {name: {} for name in ("id", "username", "first_name", "last_name", "full_name", "email")}
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
    record: dict[str, Any] = {c.name: _below(c.field_type) for c in entity.columns}
    if entity.hidden_keys:
        record[CUSTOM_VALUES] = dict.fromkeys(one.key for one in definitions(entity))
    found |= {entity.name: record, "record": record, "user": PERSON}
    found |= {c.name: PERSON for c in entity.user_columns}
    if changes:
        values = dict.fromkeys(record)
        found |= {"old": values, "change": {"old": values, "new": values}}
    return found


def _below(kind: Any) -> Names | None:
    """What may be read below a column's value."""
    if isinstance(kind, field_types.Json | field_types.TextList):
        return None
    return PERSON if _is_person(kind) else {}


def _is_person(kind: Any) -> bool:
    return isinstance(kind, field_types.Reference) and kind.target == "user"


def columns_read(entity: Entity | None, raw: Any) -> frozenset[str] | None:
    """The columns of its record that a step needs to render a JSON value; None stands for all."""
    people = {c.name for c in entity.user_columns} if entity else set()
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


def entity_for(name: str, user: Any) -> Entity | None:
    """The entity that a run is about, as whom it acts as knows it; None where it is about none."""
    entity = entities.get(name)
    return None if entity is None else entity.for_user(user)


class Shown(dict[str, Any]):
    """Values of which some are hidden: who reads one of these is refused, and not given nothing."""

    def __init__(self, values: Mapping[str, Any], hidden: Iterable[str]) -> None:
        super().__init__(values)
        self.hidden = hidden

    def __missing__(self, name: str) -> Any:
        if name in self.hidden:
            raise ValueRefusedError(
                gettext("Unknown field %(name)s: it is hidden from whom the workflow acts as.")
                % {"name": repr(name)},
                code="unknown_field",
            )
        raise KeyError(name)


def without_hidden(values: dict[str, Any], entity: Entity) -> dict[str, Any]:
    """Values of a record by public names, for whom the entity is limited for."""
    if not entity.hidden:
        return values
    seen = {name: value for name, value in values.items() if name not in entity.hidden}
    custom = seen.get(CUSTOM_VALUES)
    if isinstance(custom, Mapping):
        kept = {key: value for key, value in custom.items() if key not in entity.hidden_keys}
        seen[CUSTOM_VALUES] = Shown(kept, entity.hidden_keys)
    return Shown(seen, entity.hidden)


def plain(value: Any) -> Any:
    """A value as templates and JSON take it."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


class Person(Mapping[str, Any]):
    """A user as templates read them. By itself it is printed as the full name. The e-mail address is there
    for those only who may see it in the list of users: a template shows its reader no more than the API."""

    def __init__(self, user: User | None, with_email: bool = False) -> None:
        self.values_ = dict.fromkeys(PERSON, "")
        if user is not None:
            names = ("id", "username", "first_name", "last_name")
            self.values_ |= {name: getattr(user, name) for name in names}
            self.values_ |= {"full_name": user.get_full_name(), "email": user.email if with_email else ""}

    def __getitem__(self, name: str) -> Any:
        return self.values_[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)

    def __str__(self) -> str:
        return str(self.values_["full_name"])


class PersonId(int):
    """A user's id as a record holds it; what is read below it (`lead.owner.full_name`) is the person's."""

    find: Callable[[int], Person]

    def __getitem__(self, name: str) -> Any:
        return self.find(int(self))[name]


class Lazy(Mapping[str, Any]):
    """Names read from the database when a template first asks for them."""

    def __init__(self, makers: Mapping[str, Callable[[], Any]]) -> None:
        self.makers = makers
        self.made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self.made:
            self.made[name] = self.makers[name]()
        return self.made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.makers)

    def __len__(self) -> int:
        return len(self.makers)


class RunContext:
    """The record of a run as its principal sees it. `user` None is the system itself; `batch` are the runs it
    is read together with."""

    def __init__(
        self,
        run: WorkflowExecution,
        user: Any,
        trigger_type: str = "",
        batch: RecordBatch | None = None,
        schedule_zone: str = "",
    ) -> None:
        self.run, self.user, self.trigger_type = run, user, trigger_type
        self.schedule_zone = schedule_zone
        self.entity: Any = entity_for(run.entity, user)
        self.pk = run.object_id
        self.batch = batch or RecordBatch(self.entity, [self.pk] if self.pk else [], TransactionCache(user))

    @property
    def rows(self) -> Any:
        """The record as a queryset, empty where the principal does not see it."""
        if self.entity is None:
            raise NotVisibleError(gettext("This run is about no record."))
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
        if found and self.entity:
            people = {c.name for c in self.entity.user_columns}
            shown = {name: plain(value) for name, value in found.items()}
            shown |= {name: self._person_id(shown[name]) for name in people & shown.keys()}
            return without_hidden(shown, self.entity)
        if self.change is not None and self.change.kind == Change.Kind.DELETED:
            return without_hidden(dict(self.old) | {"id": self.pk}, self.entity)
        raise NotVisibleError(
            gettext("The record is not there, or not visible to whom the workflow acts as.")
        )

    @property
    def old(self) -> dict[str, Any]:
        """The former values of what changed, by public names."""
        seen = shown_changes(self.change.changes, self.entity) if self.change else {}
        values = {name: pair["old"] for name, pair in seen.items()}
        return without_hidden(values, self.entity) if self.entity else values

    @property
    def new(self) -> dict[str, Any]:
        """The record's values right after the change, whatever became of it since; of a deleted one those
        before."""
        if self.entity is None or self.change is None:
            return {}
        if self.change.kind != Change.Kind.DELETED and self.batch.row(self.pk) is None:
            raise NotVisibleError(
                gettext("The record is not there, or not visible to whom the workflow acts as.")
            )
        states = past.states_after(self.entity, [self.change])
        names = self.entity.public_names
        new = {names[key]: value for _, state in states for key, value in state.items() if key in names}
        return without_hidden(new, self.entity)

    def person(self, user_id: int | None) -> Person:
        """A user, with the e-mail address if whom the run acts as may see it. The system sees all."""
        user = self.batch.cache.users.get(user_id)
        return Person(user, user is not None and self.batch.cache.knows_email_of(user.pk))

    def _person_id(self, user_id: int | None) -> PersonId | None:
        if user_id is None:
            return None
        found = PersonId(user_id)
        found.find = self.person
        return found

    def meets(self, conditions: Any, *, changes: bool = False) -> bool:
        """Whether the record, as it is now, meets conditions. Those about the change look at the change."""
        if not conditions:
            return True
        condition = parse(self.entity, conditions, changes=changes and self.run.change_id is not None)
        zone = record_zone(self.schedule_zone)
        if changes and self.run.change_id is not None:
            return Change.objects.filter(
                change_q(self.entity, condition, zone, user=self.user), pk=self.run.change_id
            ).exists()
        return self.rows.filter(record_q(condition, zone, user=self.user)).exists()

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
            "user": lambda: Person(self.user, with_email=True),
        }
        if self.entity is not None:
            makers |= {
                self.entity.name: lambda: self.record,
                "record": lambda: self.context[self.entity.name],
            }
            makers |= {"old": lambda: self.old}
            makers |= {"change": lambda: Lazy({"old": lambda: self.old, "new": lambda: self.new})}
            makers |= {c.name: self._person_maker(c.name) for c in self.entity.user_columns}
        return Lazy(makers)

    def _trigger(self) -> dict[str, Any]:
        change = self.change
        at = change.at if change else self.run.created_at
        return {
            "type": self.trigger_type,
            "kind": change.kind if change else "",
            "at": plain(at),
            "actor": self.person(change.actor_id if change else None),
        }

    def _person_maker(self, name: str) -> Callable[[], Any]:
        def make() -> Person:
            return self.person(self.context["record"].get(name))

        return make
