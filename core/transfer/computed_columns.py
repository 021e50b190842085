"""Columns of exports that a function computes, such as the reasons of a score.

They are exported when they are named, and imported where a linked column has their name
(core.transfer.linked_columns). The database writes a placeholder with the record's
id, and the texts take its place a block of rows at a time, so that every format still streams.
"""

import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db.models import F, TextField, Value
from django.db.models.functions import Cast, Concat

from core.entities import Column, Entity, field_types
from core.registry import Registry

# From ids of records, whoever exports them and the name of a database: a text for each id.
Compute = Callable[[Sequence[int], Any, str], Mapping[int, str]]
AT_ONCE = 2_000
# Nobody can write a text that looks like a placeholder of this process.
_SECRET = secrets.token_hex(16)
_PLACEHOLDER = re.compile(f"{_SECRET}:([a-z_]+):([0-9]+):")


@dataclass(frozen=True)
class ComputedColumn:
    """A read-only text of an entity's exports."""

    entity: str
    name: str
    compute: Compute

    @property
    def column(self) -> Column:
        """As the export's statement selects it: the placeholder."""
        parts = Value(f"{_SECRET}:{self.name}:"), Cast(F("pk"), TextField()), Value(":")
        placeholder = Concat(*parts, output_field=TextField())
        return Column(self.name, field_types.Text(), self.name, writable=False, expression=placeholder)


computed_columns: Registry[ComputedColumn] = Registry("computed column")


def register(entity: str, name: str, compute: Compute) -> None:
    """Register a text that exports of an entity can be asked for."""
    computed_columns.register(f"{entity}.{name}", ComputedColumn(entity, name, compute))


def columns_of(entity: Entity) -> dict[str, Column]:
    """The computed columns of an entity's exports, by name."""
    return {one.name: one.column for one in computed_columns if one.entity == entity.name}


def _pair(mark: str) -> tuple[str, str]:
    """The name and the record's id in a mark."""
    _, name, pk, _ = mark.split(":")
    return name, pk


class ComputedCells:
    """Replaces the placeholders by the texts, in exports of `columns`."""

    def __init__(self, entity: Entity, columns: Sequence[Column], user: Any, using: str) -> None:
        there = {one.name: one for one in computed_columns if one.entity == entity.name}
        self._columns = {c.name: there[c.name] for c in columns if c.name in there}
        self._places = [i for i, c in enumerate(columns) if c.name in there]
        self._user, self._using = user, using

    def __bool__(self) -> bool:
        return bool(self._columns)

    def text(self, text: str, write: Callable[[str], str]) -> str:
        """A text with the computed texts in it, each as `write` gives it."""
        if not self:
            return text
        texts = self._texts(_PLACEHOLDER.findall(text))
        return _PLACEHOLDER.sub(lambda mark: write(texts.get((mark[1], mark[2]), "")), text)

    def rows(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        """Rows of cells with the computed texts in them."""
        if not self:
            yield from rows
            return
        coming = iter(rows)
        while block := list(islice(coming, AT_ONCE)):
            marks = [[_pair(row[i]) for i in self._places] for row in block]
            texts = self._texts([mark for row in marks for mark in row])
            for row, found in zip(block, marks, strict=True):
                cells = list(row)
                for place, mark in zip(self._places, found, strict=True):
                    cells[place] = texts.get(mark, "")
                yield tuple(cells)

    def _texts(self, marks: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """The texts of (name, id) pairs, those of one name computed at once."""
        wanted: dict[str, list[int]] = {}
        for name, pk in marks:
            wanted.setdefault(name, []).append(int(pk))
        return {
            (name, str(pk)): text
            for name, ids in wanted.items()
            for pk, text in self._columns[name].compute(ids, self._user, self._using).items()
        }
