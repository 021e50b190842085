"""What somebody may see of a run, a dry run or a backtest: these know what whom the workflow acts as knows,
which may be more than its reader does. Withheld are values of records that the reader does not see, and of
fields that are hidden from their role. Whether a condition is met is such a value too."""

from collections.abc import Iterable, Mapping
from typing import Any

from core.access import Role, role_of
from core.conditions import parse
from core.conditions.grammar import Leaf, fields_of
from core.conditions.related import RelatedColumn, target_of
from core.entities import Entity, entities
from core.entities.entity import CUSTOM_VALUES
from core.errors import InvalidError
from core.workflows.actions import actions
from core.workflows.actions.base import Action
from core.workflows.definition import BRANCH
from core.workflows.models import WorkflowExecution
from core.workflows.templating import paths_read, segments_read

# What templates call that which a run was started with.
PAYLOAD = "payload"
# Read for every step, whatever it shows (run_context.columns_read).
ALWAYS_READ = frozenset(("id", "owner", "assigned_to", "archived_at"))


class RunReader:
    """A user who looks at what workflows did with records, or would do. The system (None) and administrators
    see all."""

    def __init__(self, user: Any) -> None:
        self.user = user
        self.sees_all = user is None or role_of(user) == Role.ADMIN
        self._seen: dict[tuple[str, int], bool] = {}

    def look_up(self, runs: Iterable[WorkflowExecution]) -> None:
        """Find out at once which of the runs' records the user sees: one statement for each entity."""
        wanted: dict[str, set[int]] = {}
        for run in () if self.sees_all else runs:
            if run.object_id and run.entity in entities and (run.entity, run.object_id) not in self._seen:
                wanted.setdefault(run.entity, set()).add(run.object_id)
        for name, ids in wanted.items():
            seen = set(entities[name].visible_to(self.user).filter(pk__in=ids).values_list("pk", flat=True))
            self._seen |= {(name, pk): pk in seen for pk in ids}

    def sees_record(self, entity: str, pk: int | None) -> bool:
        """Whether the user sees the record; what is about none is open to who sees the run."""
        if self.sees_all or not pk or entity not in entities:
            return True
        if (entity, pk) not in self._seen:
            self._seen[entity, pk] = entities[entity].visible_to(self.user).filter(pk=pk).exists()
        return self._seen[entity, pk]

    def hidden(self, entity: str) -> frozenset[str]:
        return entities[entity].for_user(self.user).hidden if entity in entities else frozenset()

    def payload(self, run: WorkflowExecution) -> Any:
        """What the run was started with, without what is named like a hidden field."""
        if not self.sees_record(run.entity, run.object_id):
            return {}
        return _without(run.trigger_data, self._hidden_words(run.entity))

    def _hidden_words(self, entity: str) -> frozenset[str]:
        """What hidden fields are called where names say not of which record; of a run that is about none, the
        fields of any."""
        names = [entity] if entity in entities else [one.name for one in entities]
        hidden = set() if self.sees_all else {word for name in names for word in self.hidden(name)}
        return frozenset(hidden | {word.removeprefix(f"{CUSTOM_VALUES}.") for word in hidden})

    def sees_step(
        self,
        entity: str,
        pk: int | None,
        kind: str,
        given: Mapping[str, Any],
        made: Any = None,
        payload: Any = None,
    ) -> bool:
        """Whether what a step did, or would do, with a record may be shown; `made` is its output, `payload`
        what its run was started with."""
        if self.sees_all:
            return True
        if not self.sees_record(entity, pk):
            return False
        if kind == BRANCH:
            return self.sees_condition(entity, pk, given.get("conditions"))
        if _shows_payload(given, payload, self._hidden_words(entity)):
            return False
        hidden, action = self.hidden(entity), actions.get(kind)
        if not hidden:
            return True
        touched = _touched(entities[entity], action, given) if action else None
        return touched is not None and hidden.isdisjoint(touched | {*(made or {})})

    def sees_condition(self, entity: str, pk: int | None, raw: Any) -> bool:
        """Whether the user may know if the record meets a condition: it asks for no hidden field, and for
        nothing of a record that the user does not see."""
        if self.sees_all or not raw or entity not in entities:
            return True
        try:
            parsed = parse(entities[entity].for_user(self.user), raw, changes=True)
        except InvalidError:
            return False
        return all(self._sees_behind(entities[entity], pk, leaf) for leaf in fields_of(parsed))

    def _sees_behind(self, entity: Entity, pk: int | None, leaf: Leaf) -> bool:
        if not isinstance(leaf.column, RelatedColumn):
            return True
        reference = leaf.column.reference
        rows = entity.model.objects.filter(pk=pk).values_list(reference.path, flat=True)
        return self.sees_record(target_of(reference), rows.first())


def _without(value: Any, words: frozenset[str]) -> Any:
    """A JSON value without what is named so, however deep it stands."""
    if isinstance(value, Mapping):
        return {name: _without(one, words) for name, one in value.items() if name not in words}
    return [_without(one, words) for one in value] if isinstance(value, list) else value


def _shows_payload(given: Mapping[str, Any], payload: Any, words: frozenset[str]) -> bool:
    """Whether the templates of a step read something of the payload that is named so, or what holds it."""
    paths = [path for path in segments_read(given) if path[0] == PAYLOAD]
    if not words or not paths:
        return False
    # Templates have names of their own for parts of it: `{% for one in payload.people %}{{ one.phone }}`.
    below = [part for path in segments_read(given, own=True) for part in path[1:] if isinstance(part, str)]
    if not words.isdisjoint(below):
        return True
    found = [_read_at(payload, path[1:]) for path in paths]
    return any(_without(one, words) != one for one in found)


def _read_at(value: Any, path: tuple[Any, ...]) -> Any:
    """What is there; where a part is no plain name of anything, all that is above."""
    for part in path:
        if not isinstance(value, Mapping) or not isinstance(part, str) or part not in value:
            break
        value = value[part]
    return value


def _touched(entity: Entity, action: Action, given: Mapping[str, Any]) -> frozenset[str] | None:
    """The fields of the record that a step reads or writes; None where that may be any."""
    reads = action.reads(entity, given)
    named = [_field_named(entity, path) for path in paths_read(given)]
    if reads is None or None in named:
        return None
    field = given.get("field")
    return (reads - ALWAYS_READ).union(
        (one for one in named if one), [field] if isinstance(field, str) else []
    )


def _field_named(entity: Entity, path: str) -> str | None:
    """The field of the record that a template reads under this name; "" for what is none, None for the whole
    record."""
    root, *below = path.split(".")
    if root in {column.name for column in entity.user_columns}:
        return root
    if root == "change":
        below = below[1:]
    elif root not in (entity.name, "record", "old"):
        return ""
    if below[:1] == [CUSTOM_VALUES]:
        return f"{CUSTOM_VALUES}.{below[1]}" if below[1:] else None
    return below[0] if below else None
