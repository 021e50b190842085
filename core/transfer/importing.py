"""An import from beginning to end: read, checked, matched and written chunk by chunk in one transaction."""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from core.access import scopes
from core.entities import Entity, entities
from core.entities.custom import custom_column, definitions
from core.entities.locks import UNIQUE_FIELD, lock
from core.errors import InvalidError
from core.transfer import mapping
from core.transfer.checking import Checker, by_column
from core.transfer.chunks import ChunkRun
from core.transfer.composing import Composer
from core.transfer.mapping import Mapped
from core.transfer.matching import Matcher, match_columns, prefer_indexes
from core.transfer.options import Options, zone_of
from core.transfer.reading import Table
from core.transfer.report import Report
from core.transfer.resolving import Resolver, create_by_name
from core.transfer.targets import FULL_NAME, ID, Targets
from core.transfer.values import says_nothing
from core.transfer.writing import Writer

SAMPLE = 1_000
REFERENCE_SAMPLE = 200
# Of so many cells more than one differs from the others where they are names.
FEW = 20


@dataclass(frozen=True)
class Plan:
    """A table, and where its columns go: the same for preview and import."""

    table: Table
    targets: Targets
    mapped: list[Mapped]
    options: Options
    user: Any

    @property
    def entity(self) -> Entity:
        return self.targets.entity


def plan(entity: Entity, table: Table, options: Options, user: Any) -> Plan:
    """How `table` would be imported. Raises InvalidError for a mapping that does not fit."""
    targets = Targets(entity)
    headers = table.shape.headers
    if options.mapping is None:
        found = mapping.proposed(targets, headers)
        taken = {m.target.name for m in found if m.target}
        mapped = [_sensible(targets, taken, m, table, options, user) for m in found]
    else:
        mapped = mapping.given(targets, headers, options.mapping)
    if options.create_missing:
        made = {m.target.column.field_type.target for m in mapped if m.target and m.target.is_reference}
        named = [entities[target].plural for target in sorted(made) if create_by_name(target)]
        scopes.require(user, *named, writing=True)
    return Plan(table, targets, mapped, options, user)


def _sensible(
    targets: Targets, taken: set[str], mapped: Mapped, table: Table, options: Options, user: Any
) -> Mapped:
    """The proposal, unless it is a reference none of whose values is anything here: another company's file
    names owners that are no users of ours, and should come in without them. A name may stay as a name."""
    target = mapped.target
    if target is None or not (target.is_reference or target.name == FULL_NAME):
        return mapped
    cells = [c for c in table.head(REFERENCE_SAMPLE).column(mapped.position) if not says_nothing(c)]
    if target.name == FULL_NAME:
        return mapped if mapped.reason != "alias" or _are_names(cells) else replace(mapped, **NO_NAMES)
    if not cells or (options.create_missing and create_by_name(target.column.field_type.target)):
        return mapped
    if target.column.name in by_column(targets, options.value_mapping):
        return mapped
    if any(isinstance(found, int) for found in Resolver(user).read(target, cells)):
        return mapped
    as_name = f"{target.column.name}_name"
    if as_name in targets.columns and as_name not in taken:
        return replace(mapped, target=targets.by_name[as_name])
    return replace(
        mapped, target=None, reason=f"none of its values is a {target.column.field_type.target} here"
    )


NO_NAMES: dict[str, Any] = {"target": None, "reason": "none of its values seems to be a name"}


def _are_names(cells: Sequence[str]) -> bool:
    """Whether a column headed by such a word as "contact" holds names: some, and not the same few again and
    again (how somebody was contacted)."""
    return bool(cells) and (len(cells) < FEW or len(set(cells)) * FEW > len(cells))


def resolved(made: Plan) -> Options:
    """The options with everything that was found out filled in: what the preview shows, the import uses."""
    shape = made.table.shape
    return replace(
        made.options,
        mapping={m.header: m.target.name if m.target else "" for m in made.mapped},
        encoding=shape.encoding or None,
        delimiter=shape.delimiter or None,
        header_row=shape.header_row,
        sheet=shape.sheet or None,
    )


def must_be_possible(made: Plan) -> None:
    """Raises InvalidError for a plan by which no row whatever could be imported."""
    if not any(m.target for m in made.mapped):
        raise _unmapped(made)
    missing = missing_required(made)
    if missing and not match_columns(made.targets, made.mapped, made.options):
        raise _hopeless(made, missing)


def unmakeable(made: Plan) -> list[dict[str, str]]:
    """A warning for each entity that `create_missing` is to make of a name, where a name alone makes none."""
    if not made.options.create_missing:
        return []
    found = []
    named = {m.target.column.field_type.target for m in made.mapped if m.target and m.target.is_reference}
    for entity in (entities[kind] for kind in sorted(named) if create_by_name(kind)):
        columns = [*entity.columns, *map(custom_column, definitions(entity))]
        lacking = [
            c.name for c in columns if c.required and c.default is None and c.name != entity.display_fields[0]
        ]
        if lacking:
            message = f"A new {entity.name} needs {' and '.join(lacking)} too"
            found.append(
                {"code": "create_missing", "message": f"{message}: rows fail that name none that is there."}
            )
    return found


def missing_required(made: Plan) -> list[str]:
    """Required fields that nothing gives: every new record would be refused."""
    given = {m.target.column.name for m in made.mapped if m.target and m.target.column}
    if any(m.target and m.target.name == FULL_NAME for m in made.mapped):
        given |= {"first_name", "last_name"}
    given |= set(made.options.default_values)
    return [c.name for c in made.targets.writable if c.required and c.name not in given]


def _hopeless(made: Plan, missing: Sequence[str]) -> InvalidError:
    names, columns = " and ".join(missing), ", ".join(made.table.shape.headers)[:300]
    return InvalidError.of(
        "mapping",
        f"No column gives {names}, which every new record needs. If one of them does ({columns}), send a"
        f' mapping such as {{"<column>": "{missing[0]}"}}; or give it to all in default_values.',
        "required",
    )


def _unmapped(made: Plan) -> InvalidError:
    """The refusal of a file none of whose columns is known."""
    headers = ", ".join(made.table.shape.headers)[:300]
    return InvalidError.of(
        "mapping",
        f"None of the columns is known here ({headers}). Send a mapping such as"
        f' {{"{made.table.shape.headers[0][:40]}": "…"}}; fields: {made.targets.known}.',
        "nothing_mapped",
    )


class Import:
    """Runs a plan. Call `run` inside `acting_as`; nothing is left behind when it raises."""

    def __init__(self, made: Plan, tick: Callable[[Report], None] = lambda report: None) -> None:
        self.plan, self.tick = made, tick
        options, user = made.options, made.user
        must_be_possible(made)
        zone = zone_of(options, user)
        self.checker = Checker(made.targets, made.mapped, options, made.table.head(SAMPLE), zone, user)
        written = self.checker.written
        self.composer = Composer(made.targets, written, options, user)
        columns = match_columns(made.targets, made.mapped, options)
        updating = options.duplicates == "update"
        self.matcher = Matcher(made.entity, columns, user, for_update=updating)
        self.writer = Writer(made.entity)
        self.unique = [c for c in written if c.custom and c.unique]
        self.by_id = [c.name for c in columns] == [ID]
        self.headers = {m.target.name: m.header for m in reversed(made.mapped) if m.target}
        self.report = Report()

    def run(self) -> Report:
        """Read and write everything; the caller decides whether it stays."""
        prefer_indexes()
        for column in self.unique:
            lock(UNIQUE_FIELD, f"{self.plan.entity.name}.{column.path}")
        with _uncollected():
            for chunk in self.plan.table.chunks():
                ChunkRun(self, chunk).run()
                self.tick(self.report)
                gc.collect()
        return self.report


@contextmanager
def _uncollected() -> Iterator[None]:
    """Rows hold no cycles, and looking for some among tens of thousands costs a fifth of the time. Those of
    refused cells (their exceptions) are collected after each chunk, when little else is left to look at."""
    was_on = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_on:
            gc.enable()
