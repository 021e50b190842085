"""What a column of a file can be imported into: the writable columns, and further names for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from core.entities import Column, Entity, field_types
from core.entities.custom import PREFIX, schema
from core.transfer.headers import Headers, headers_of, normalised
from core.transfer.linked_columns import LinkedColumn, linked_columns_of

FULL_NAME = "full_name"
ID = "id"
# Why a column stays out whose field the importer's role may not change.
READ_ONLY = "read-only"
# The opposite of a flag that says who opted out: "no" there raises it.
OPT_IN = "opt_in"
# How a reference may be named in a file: company.name, owner.email …
REFERENCE_PARTS = ("id", "external_id", "email", "username", "name", "domain")


@dataclass(frozen=True)
class ImportField:
    """A field to import into. `part` is what a reference is named by ("" finds out). Without a column it is a
    whole name, or names `linked` records."""

    name: str
    column: Column | None
    part: str = ""
    linked: LinkedColumn | None = None

    @property
    def refers_to(self) -> str:
        """What a reference points at: an entity's name, or "user"; "" where this is no reference."""
        return self.column.field_type.target if self.column is not None else ""

    @property
    def is_reference(self) -> bool:
        return self.column is not None and isinstance(self.column.field_type, field_types.Reference)


@dataclass(frozen=True)
class MappedColumn:
    """A column of the file; `target` is None where it stays out."""

    position: int
    header: str
    target: ImportField | None
    # "given", "own export", "system: hubspot", "name", "alias", "words", "values", or why not: READ_ONLY …
    reason: str


class ImportFields:
    """Everything an entity's import can write, by every accepted name."""

    def __init__(self, entity: Entity) -> None:
        self.entity = entity
        self.columns: Mapping[str, Column] = schema(entity, names=[PREFIX])
        self.headers: Headers = headers_of.get(entity.name) or Headers()

    @cached_property
    def writable(self) -> list[Column]:
        return [c for c in self.columns.values() if c.writable and c.name != "custom_fields"]

    @cached_property
    def locked(self) -> dict[str, Column]:
        """Those that whoever imports may read and not change, by name."""
        return {name: c for name, c in self.columns.items() if c.locked}

    @cached_property
    def by_name(self) -> dict[str, ImportField]:
        found = {c.name: ImportField(c.name, c) for c in self.writable}
        for column in self.writable:
            for alias in column.aliases:
                found.setdefault(alias, found[column.name])
            if column.custom:
                found.setdefault(column.path, found[column.name])
            if isinstance(column.field_type, field_types.Reference):
                found |= _by_part(column)
        if self._has_names:
            found[FULL_NAME] = ImportField(FULL_NAME, None)
        opt_out = self.headers.opt_out
        if opt_out is not None and opt_out.field in found:
            found[OPT_IN] = ImportField(OPT_IN, self.columns[opt_out.field], OPT_IN)
        for name in self.headers.derived:
            if name in self.columns:
                found[name] = ImportField(name, self.columns[name])
        for linked in linked_columns_of(self.entity):
            found[linked.name] = ImportField(linked.name, None, linked=linked)
        found[ID] = ImportField(ID, self.entity.by_name[ID])
        return found

    @cached_property
    def by_header(self) -> dict[str, str]:
        """Normalised names and labels of our own → target."""
        found = {normalised(name): name for name in self.by_name if name != ID and "." not in name}
        for column in (*self.writable, *self.locked.values()):
            for header in (column.label or column.name, column.name):
                found.setdefault(normalised(header), column.name)
        for linked in linked_columns_of(self.entity):
            found.setdefault(normalised(linked.label), linked.name)
        return found

    @cached_property
    def known_headers(self) -> dict[str, str]:
        """Normalised headers of our own and of other programs → target."""
        return {**self.headers.fields, **self.by_header}

    @cached_property
    def squeezed_headers(self) -> dict[str, str]:
        """The same without their blanks: BILLINGSTREET is billing street."""
        return {
            header.replace(" ", ""): name for header, name in self.known_headers.items() if len(header) > 4
        }

    @property
    def _has_names(self) -> bool:
        return {"first_name", "last_name"} <= {column.name for column in self.writable}

    @property
    def known(self) -> str:
        """The names one may map to, for error messages."""
        return ", ".join(sorted(n for n in self.by_name if "." not in n or n.startswith(PREFIX)))


def _by_part(column: Column) -> dict[str, ImportField]:
    """A reference by what it may be named by."""
    names = {part: f"{column.name}.{part}" for part in REFERENCE_PARTS}
    return {name: ImportField(name, column, part) for part, name in names.items()}
