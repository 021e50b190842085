"""Columns of a file that name the records linked to each row's: the further records of a task, the contacts
of a deal. Their computed columns export the same words.

The links stand in a table of their own, a captured part of the record (core.models.capture). They are written
behind the rows, by one call for many, and an import's undoing reads from the part's changes what they were.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.entities import Entity
from core.registry import Registry

# What a cell names, in the order of the cell; of several cells each link once.
Links = tuple[Any, ...]
# From cells and a `core.transfer.resolving.Resolver`: Links, BLANK or Refusal, cell by cell.
Read = Callable[[Sequence[str], Any], list[Any]]


@dataclass(frozen=True)
class Linked:
    """What came of writing links: the ids of the records that had others before, and by id why nothing was
    written, as code and message."""

    changed: frozenset[int] = frozenset()
    refused: Mapping[int, tuple[str, str]] = field(default_factory=dict)


# From links by the id of their record, and who imports: those that the user sees become these.
Write = Callable[[Mapping[int, Links], Any], Linked]


@dataclass(frozen=True)
class LinkTable:
    """Where links stand: `part` is the name of its changes, `holder` the column with the record's id,
    `identity` the columns that tell the links of a record apart, `values` its others."""

    model: Any
    part: str
    holder: str
    identity: tuple[str, ...]
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class LinkedColumn:
    """A column of an entity's imports that names linked records."""

    entity: str
    name: str
    label: str
    read: Read
    write: Write
    table: LinkTable


linked_columns: Registry[LinkedColumn] = Registry("linked column")


def register(column: LinkedColumn) -> None:
    """Let imports of an entity write the links that a column names."""
    linked_columns.register(f"{column.entity}.{column.name}", column)


def linked_columns_of(entity: Entity) -> list[LinkedColumn]:
    """The linked columns of an entity's imports."""
    return [one for one in linked_columns if one.entity == entity.name]
