"""An import from beginning to end: read, checked, matched and written chunk by chunk in one transaction."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.entities import Entity
from core.entities.locks import UNIQUE_FIELD, lock
from core.errors import InvalidError
from core.transfer import mapping
from core.transfer.checking import Checker
from core.transfer.chunks import ChunkRun
from core.transfer.composing import Composer
from core.transfer.mapping import Mapped
from core.transfer.matching import Matcher, match_columns, prefer_indexes
from core.transfer.options import Options, zone_of
from core.transfer.reading import Table
from core.transfer.report import Report
from core.transfer.targets import ID, Targets
from core.transfer.writing import Writer

SAMPLE = 1_000


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
        mapped = mapping.proposed(targets, headers)
    else:
        mapped = mapping.given(targets, headers, options.mapping)
    return Plan(table, targets, mapped, options, user)


def unmapped(made: Plan) -> InvalidError:
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
        if not any(m.target for m in made.mapped):
            raise unmapped(made)
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
        for chunk in self.plan.table.chunks():
            ChunkRun(self, chunk).run()
            self.tick(self.report)
        return self.report
