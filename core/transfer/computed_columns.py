"""Cells that no column holds and a program puts into words, such as the reasons of a score.

They are exported when they are named and never imported. The database writes a mark with the record's id, and
the words take its place a block of rows at a time, so that every format streams as it does without them.
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

# By id for many records, read from a database.
Words = Callable[[Sequence[int], str], Mapping[int, str]]
AT_ONCE = 2_000
# Nobody can write a text that looks like a mark of this process.
_SECRET = secrets.token_hex(16)
_MARK = re.compile(f"{_SECRET}:([a-z_]+):([0-9]+):")


@dataclass(frozen=True)
class ComputedColumn:
    """A read-only text of an entity's exports."""

    entity: str
    name: str
    words: Words

    @property
    def column(self) -> Column:
        """What stands in the export's statement: the mark."""
        parts = Value(f"{_SECRET}:{self.name}:"), Cast(F("pk"), TextField()), Value(":")
        mark = Concat(*parts, output_field=TextField())
        return Column(self.name, field_types.Text(), self.name, writable=False, expression=mark)


added: Registry[ComputedColumn] = Registry("added cell")


def add(entity: str, name: str, words: Words) -> None:
    """Register a text that exports of an entity can be asked for."""
    added.register(f"{entity}.{name}", ComputedColumn(entity, name, words))


def columns_of(entity: Entity) -> dict[str, Column]:
    """The added cells of an entity's exports, as columns by name."""
    return {one.name: one.column for one in added if one.entity == entity.name}


def _pair(mark: str) -> tuple[str, str]:
    """The name and the record's id in a mark."""
    _, name, pk, _ = mark.split(":")
    return name, pk


class ComputedCells:
    """Puts the words where the database wrote marks, in exports of `columns`."""

    def __init__(self, entity: Entity, columns: Sequence[Column], using: str) -> None:
        there = {one.name: one for one in added if one.entity == entity.name}
        self._added = {c.name: there[c.name] for c in columns if c.name in there}
        self._places = [i for i, c in enumerate(columns) if c.name in there]
        self._using = using

    def __bool__(self) -> bool:
        return bool(self._added)

    def text(self, text: str, write: Callable[[str], str]) -> str:
        """A text with the words in it, each as `write` gives it."""
        if not self:
            return text
        words = self._words(_MARK.findall(text))
        return _MARK.sub(lambda mark: write(words.get((mark[1], mark[2]), "")), text)

    def rows(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        """Rows of cells with the words in them."""
        if not self:
            yield from rows
            return
        coming = iter(rows)
        while block := list(islice(coming, AT_ONCE)):
            marks = [[_pair(row[i]) for i in self._places] for row in block]
            words = self._words([mark for row in marks for mark in row])
            for row, found in zip(block, marks, strict=True):
                cells = list(row)
                for place, mark in zip(self._places, found, strict=True):
                    cells[place] = words.get(mark, "")
                yield tuple(cells)

    def _words(self, marks: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """The words of (name, id) pairs, those of one name read at once."""
        wanted: dict[str, list[int]] = {}
        for name, pk in marks:
            wanted.setdefault(name, []).append(int(pk))
        return {
            (name, str(pk)): text
            for name, ids in wanted.items()
            for pk, text in self._added[name].words(ids, self._using).items()
        }
