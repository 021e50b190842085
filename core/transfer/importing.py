"""An import from beginning to end: read, checked, matched and written chunk by chunk in one transaction."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from core.entities.duplicate_rules import rules_of
from core.entities.locks import UNIQUE_FIELD, lock
from core.errors import InvalidError
from core.transfer.checking import Checker
from core.transfer.chunks import ChunkRun, ImportRun
from core.transfer.composing import Composer
from core.transfer.import_fields import ID
from core.transfer.matching import Matcher, match_columns, prefer_indexes
from core.transfer.planning import Plan, check_importable
from core.transfer.report import Report
from core.transfer.sources import MIXED_DATES
from core.transfer.writing import Writer

SAMPLE = 1_000


class Import:
    """Runs a plan. Call `run` inside `audit_context`; nothing is left behind when it raises."""

    def __init__(self, made: Plan, tick: Callable[[Report], None] = lambda report: None) -> None:
        self.plan, self.tick = made, tick
        check_importable(made)
        self.checker = Checker(made, made.table.head(SAMPLE))
        _refuse_mixed_dates(self.checker)
        written = self.checker.written
        columns = match_columns(made.targets, made.mapped, made.options)
        updating = made.options.duplicates == "update"
        self.report = Report()
        self.state = ImportRun(
            plan=made,
            checker=self.checker,
            composer=Composer(made, written),
            matcher=Matcher(made.entity, columns, made.user, for_update=updating),
            writer=Writer(made.entity),
            report=self.report,
            unique=[column for column in written if column.unique],
            by_id=[column.name for column in columns] == [ID],
            headers={m.target.name: m.header for m in reversed(made.mapped) if m.target},
            rules=rules_of(made.entity),
            linked=[s.target.linked for s in self.checker.sources.in_order if s.target.linked is not None],
        )

    def run(self) -> Report:
        """Read and write everything; the caller decides whether it stays."""
        prefer_indexes()
        for column in self.state.unique:
            if column.custom:
                lock(UNIQUE_FIELD, f"{self.plan.entity.name}.{column.path}")
        with _uncollected():
            for chunk in self.plan.table.chunks():
                ChunkRun(self.state, chunk).run()
                self.tick(self.report)
                gc.collect()
        return self.report

    def notes(self) -> list[dict[str, Any]]:
        """Warnings about the file as a whole, once it has been read."""
        return [
            *self.checker.notes,
            *self.plan.table.notes,
            *self.report.notes(),
            *self.checker.unknown_names(),
        ]


def _refuse_mixed_dates(checker: Checker) -> None:
    """Raises InvalidError for a column whose dates can be read by no one order."""
    for note in checker.notes:
        if note["code"] == MIXED_DATES:
            raise InvalidError.of("date_format", note["message"], "ambiguous")


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
