"""What tables hold of persons: each room says of its own how rows are found, and what becomes of them.

Every table with text in it is registered here, as one that may hold a person's data (`personal_tables`) or as
one that holds none, with the reason (`impersonal_tables`); a test compares both with the database. What is
done with them is in core.privacy. All text of a personal table is searched but for what it says is `kept`,
so a column that is added later is searched by itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from core.registry import Registry


class Erasure(StrEnum):
    """What becomes of a row: it goes, its texts go, or what identifies the person is taken out of them."""

    DELETE = "deleted"
    EMPTY = "emptied"
    REDACT = "redacted"


# The records of a person in SQL: rows of (entity, id).
RECORDS = "unnest(%(entities)s::text[], %(ids)s::bigint[]) AS p (entity, id)"
# The same of what hangs on the person's records and on those of others as well (a meeting with two persons).
SHARED = "unnest(%(shared_entities)s::text[], %(shared_ids)s::bigint[]) AS p (entity, id)"
# The same of the records that are kept and name the person (a deal, say).
RELATED = "unnest(%(related_entities)s::text[], %(related_ids)s::bigint[]) AS p (entity, id)"


@dataclass(frozen=True)
class PersonalTable:
    """How the rows of a table `t` belong to a person.

    A row is linked by the columns `entity` and `object_id`, by its own id where the table is that of
    `entity`, or by the SQL condition `linked`, which may use `{records}`. `on_link` says what becomes of it,
    `emptied` the SQL value of each column that goes then, `children` the tables (with their column) that are
    deleted before it. In any other row an address or a number of the person that nobody else has is replaced
    where it stands; `on_match` says so, or that the row goes (a copy that is made anew). `related` is a
    further condition, with `{records}`, of rows about records that are kept or shared, in which the person's
    full name is replaced too; rows of the condition `untouched` are left alone. `handed_on` is a statement,
    with `{records}`, that has the shared rows `%(pks)s` stay with the others once the person's records go.

    `read` gives the SQL text of columns that hold text and are of no text type; `json_texts` are columns of
    text that hold JSON, which may break off: what parses is searched as JSON, with its escapes. An address
    that stands alone in one of the `address_lists` is left out of it, where other lists get a mark in its
    place. `internal` columns are not handed out. `ignored_triggers` protect the table from everybody else.
    """

    label: str
    entity: str = ""
    linked: str = ""
    related: str = ""
    untouched: str = ""
    handed_on: str = ""
    on_link: Erasure = Erasure.DELETE
    on_match: Erasure = Erasure.REDACT
    emptied: Mapping[str, str] = field(default_factory=dict)
    children: tuple[tuple[str, str], ...] = ()
    kept: Mapping[str, str] = field(default_factory=dict)
    read: Mapping[str, str] = field(default_factory=dict)
    json_texts: tuple[str, ...] = ()
    address_lists: tuple[str, ...] = ()
    internal: tuple[str, ...] = ()
    ignored_triggers: tuple[str, ...] = ()


@dataclass(frozen=True)
class AddressColumns:
    """Columns that say which addresses and numbers a row has, those of `lists` several: what stands there is
    never redacted, for it is somebody's own. `names` are those of the first and the last name, of people: a
    name that one of them has too is redacted nowhere."""

    table: str
    emails: tuple[str, ...]
    phones: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class PersonEntity(AddressColumns):
    """An entity whose records are persons. Those with an address or number that was asked for in `own_emails`
    or `own_phones` are the person's. `same` is SQL with `{records}` that gives records that may be the same
    person's as (entity, id)."""

    own_emails: tuple[str, ...] = ()
    own_phones: tuple[str, ...] = ()
    names: tuple[str, ...] = ("first_name", "last_name")
    same: str = ""


@dataclass(frozen=True)
class AttachedRecords:
    """Records that hang on others: `sql` with `{records}` gives their ids; `of_others` those of
    `%(attached)s` that hang on something else as well."""

    sql: str
    of_others: str = ""


# By the name of the table.
personal_tables: Registry[PersonalTable] = Registry("table with personal data")
# Table → why no customer's data are in it, or why they are kept.
impersonal_tables: Registry[str] = Registry("table without personal data")
# What is kept of a person all the same → why. Certificates name it.
kept_by_law: Registry[str] = Registry("data that are kept")
# By the name of the entity.
person_entities: Registry[PersonEntity] = Registry("entity of persons")
# Who else has addresses: companies, users.
address_columns: Registry[AddressColumns] = Registry("columns of addresses")
# Records that hang on those of a person and are emptied with them, by the name of the entity.
attached_records: Registry[AttachedRecords] = Registry("attached record")
# Those that are kept and name the person: the entity, and SQL with `{records}` that gives their ids.
related_records: Registry[tuple[str, str]] = Registry("related record")
# Withdraws stored files that may hold a person's data; says how many.
stored_files: Registry[Callable[[], int]] = Registry("stored files")
# Whether work is open that may still write down a person's data.
unfinished_work: Registry[Callable[[], bool]] = Registry("unfinished work")

STAFF = "Accounts of the staff, their sign-ins and settings; a customer has none."
SETTINGS = "Settings that administrators write; no customer's data belong there."
NUMBERS = "Names of kinds, states and numbers alone."


def holds_none(reason: str, *tables: str) -> None:
    """Register tables without a customer's data."""
    for table in tables:
        impersonal_tables.register(table, reason)
