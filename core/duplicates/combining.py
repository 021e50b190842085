"""What the record holds that several become, and what it would hold without one of them.

A record's state is its values by table column (`state_of`), of the columns that merging looks at.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from core.entities import Column, Entity, field_types
from core.entities.merging import Merging, TakenTogether, is_filled, total

State = dict[str, Any]
CUSTOM = "custom_fields"
LISTS = (field_types.TextList, field_types.MultiChoice)


def merging_of(entity: Entity) -> Merging:
    """How the entity's records are merged; call only for those that can be."""
    return entity.merging or Merging()


def columns_of(entity: Entity) -> list[Column]:
    """The columns that merging looks at: those that are written, and those that the entity speaks of."""
    merging = merging_of(entity)
    named = {*merging.combined, *(name for group in merging.together for name in group.names)}
    return [c for c in entity.columns if c.expression is None and (c.writable or c.name in named)]


def selectable(entity: Entity) -> dict[str, Column]:
    """Columns whose value may be chosen, by name; custom fields are chosen as `custom_fields.<key>`."""
    combined = merging_of(entity).combined
    return {c.name: c for c in columns_of(entity) if c.writable and c.name not in {*combined, CUSTOM}}


def state_of(entity: Entity, record: Any) -> State:
    return {column.path: getattr(record, column.path) for column in columns_of(entity)}


def to_json(state: Mapping[str, Any]) -> State:
    """A state as JSON that loses nothing, as moments to the millisecond would."""
    return {path: _plain(value) for path, value in state.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def from_json(entity: Entity, stored: Mapping[str, Any]) -> State:
    fields = {f.attname: f for f in entity.model._meta.concrete_fields}
    return {
        path: value if isinstance(value, list | dict) else fields[path].to_python(value)
        for path, value in stored.items()
        if path in fields
    }


class Combination:
    """The state that records become. `states` are the survivor's first, `ids` theirs; `chosen` names by
    column (or custom field) the record whose value wins. References to themselves do not count as filled."""

    def __init__(
        self, entity: Entity, ids: Sequence[int], states: Sequence[State], chosen: Mapping[str, int]
    ) -> None:
        self.entity, self.ids, self.states = entity, list(ids), list(states)
        self.chosen = {name: self.ids.index(pk) for name, pk in chosen.items()}
        self.merging = merging_of(entity)
        self.columns = {column.name: column for column in columns_of(entity)}

    def run(self) -> State:
        found = {column.path: self._value(column) for column in self.columns.values()}
        for group in self.merging.together:
            found |= self._of_one(group)
        for name, into in self.merging.kept_in.items():
            self._keep(found, name, into)
        return found

    def leader(self, group: TakenTogether) -> int:
        """The place of the record that a group of columns is taken from."""
        named = [self.chosen[name] for name in group.names if name in self.chosen]
        filled = (i for i in range(len(self.states)) if any(self._filled(n, i) for n in group.decided_by))
        return named[0] if named else next(filled, 0)

    def place(self, name: str) -> int:
        """The place of the record whose value a column gets."""
        for group in self.merging.together:
            if name in group.names and name not in self.chosen:
                return self.leader(group)
        return next((i for i in range(len(self.states)) if self._filled(name, i)), 0)

    def _filled(self, name: str, place: int) -> bool:
        column = self.columns[name]
        value = self.states[place].get(column.path)
        return is_filled(value) and not (self._is_own(column) and value in self.ids)

    def _is_own(self, column: Column) -> bool:
        return is_reference_to(self.entity, column)

    def _value(self, column: Column) -> Any:
        values = [state.get(column.path) for state in self.states]
        combine = self.merging.combined.get(column.name)
        if combine is not None:
            return combine(values)
        if column.name == CUSTOM:
            return self._custom(values)
        if column.name in self.chosen:
            return values[self.chosen[column.name]]
        if isinstance(column.field_type, LISTS):
            return united(values)
        filled = (i for i in range(len(values)) if self._filled(column.name, i))
        return values[next(filled, 0)] if not self._is_own(column) else self._reference(values, filled)

    def _reference(self, values: list[Any], filled: Any) -> Any:
        """A reference to a record that is not one of them."""
        place = next(filled, None)
        return None if place is None else values[place]

    def _custom(self, values: list[Any]) -> State:
        found: State = {}
        for given in reversed(values):
            found |= {key: value for key, value in (given or {}).items() if is_filled(value)}
        for name, place in self.chosen.items():
            key = name.removeprefix(f"{CUSTOM}.")
            if key != name:
                found.pop(key, None)
                found |= {key: values[place][key]} if key in (values[place] or {}) else {}
        return found

    def _of_one(self, group: TakenTogether) -> State:
        state = self.states[self.leader(group)]
        paths = [self.columns[name].path for name in group.names if name not in self.chosen]
        return {path: state.get(path) for path in paths}

    def _keep(self, found: State, name: str, into: str) -> None:
        """What the survivor does not get of a column goes to the list of further ones."""
        if into in self.chosen:
            return
        path, further = self.columns[name].path, self.columns[into].path
        others = [state.get(path) for state in self.states]
        kept = united([found[further], [value for value in others if is_filled(value)]])
        primary = {found[self.columns[n].path] for n, i in self.merging.kept_in.items() if i == into}
        found[further] = [value for value in kept if value not in primary]


def is_reference_to(entity: Entity, column: Column) -> bool:
    """Whether a column refers to records of the entity itself."""
    return isinstance(column.field_type, field_types.Reference) and column.field_type.target == entity.name


def united(lists: Sequence[Any]) -> list[Any]:
    """The items of all lists once each, in the order in which they come first."""
    return list(dict.fromkeys(item for items in lists for item in items or ()))


MISSING = object()


def rebase(entity: Entity, old: State, new: State, current: State) -> State:
    """What becomes of `current`, which was made from `old` by changes, where `new` takes the place of `old`:
    what was changed stays, everything else is as in `new`."""
    combined = merging_of(entity).combined
    totals = {c.path for c in columns_of(entity) if combined.get(c.name) is total}
    return {
        path: _counted(old.get(path), new.get(path), value)
        if path in totals
        else _rebased(old.get(path, MISSING), new.get(path, MISSING), value)
        for path, value in current.items()
    }


def _counted(old: Any, new: Any, current: Any) -> Any:
    return max((current or 0) - (old or 0) + (new or 0), 0)


def _rebased(old: Any, new: Any, current: Any) -> Any:
    if current == old:
        return new
    if isinstance(current, list) and isinstance(old, list) and isinstance(new, list):
        kept = [item for item in current if item in new or item not in old]
        return [*kept, *(item for item in new if item not in old and item not in kept)]
    if isinstance(current, dict) and isinstance(old, dict) and isinstance(new, dict):
        keys = [*current, *(key for key in (*old, *new) if key not in current)]
        made = {
            k: _rebased(old.get(k, MISSING), new.get(k, MISSING), current.get(k, MISSING))
            for k in dict.fromkeys(keys)
        }
        return {key: value for key, value in made.items() if value is not MISSING}
    return current
