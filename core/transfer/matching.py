"""Which stored record a row of the file is about."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import connection
from django.db.models import F, Q, QuerySet
from django.db.models.fields.json import KeyTransform
from django.utils.translation import gettext as _

from core.access import Permission
from core.changes.expressions import EqualsAny
from core.entities import Column, Entity
from core.entities.aliases import present_external_ids
from core.errors import InvalidError
from core.models.folding import Fold, fold
from core.transfer.import_fields import ID, ImportFields
from core.transfer.lookups import permitted_ids, rows_with_keys
from core.transfer.mapping import MappedColumn
from core.transfer.options import Options
from core.transfer.values import Values

Key = tuple[str, Any]
CUSTOM_AT_ONCE = 500
# The id of a record in the system it comes from. Two records with different ones are never the same.
EXTERNAL_ID = "external_id"


def match_columns(targets: ImportFields, mapped: Sequence[MappedColumn], options: Options) -> list[Column]:
    """The columns that tell records apart, the strongest first: as asked for, else the entity's own that the
    file has; none where every row is to become a record. Whoever maps a column to `id`, as an export of ours
    does, means that; else an id of another system decides wherever a row has one. Raises InvalidError."""
    present = {m.target.column.name for m in mapped if m.target is not None and m.target.column is not None}
    if any(m.target is not None and m.target.name == "full_name" for m in mapped):
        present |= {"first_name", "last_name"}
    wanted = options.match_on
    if wanted is None:
        wanted = (ID,) if ID in present else tuple(n for n in targets.headers.match_on if n in present)
    if EXTERNAL_ID in present and not {ID, EXTERNAL_ID} & set(wanted):
        wanted = (EXTERNAL_ID, *wanted)
    found = [_matchable(targets, name, present) for name in wanted]
    return [] if options.duplicates == "create" else found


def _matchable(targets: ImportFields, name: str, present: set[str]) -> Column:
    target = targets.by_name.get(name)
    column = target.column if target is not None and not target.part else None
    source = None
    if column is not None and not column.custom:
        source = targets.entity.model._meta.get_field(column.name)
    if column is None or isinstance(source, ArrayField):
        raise InvalidError.of(
            "match_on", _("Rows cannot be matched by %(name)s.") % {"name": repr(name[:80])}, "unknown_field"
        )
    if column.name not in present:
        raise InvalidError.of(
            "match_on",
            _("No column of the file is mapped to %(name)s.") % {"name": repr(name)},
            "unknown_column",
        )
    return column


class Matcher:
    """Looks up stored records by the keys of a chunk's rows, one query per key column."""

    def __init__(self, entity: Entity, columns: Sequence[Column], user: Any, *, for_update: bool) -> None:
        self.entity, self.columns, self.user = entity, columns, user
        self.for_update = for_update
        self.attnames = [f.attname for f in entity.model._meta.concrete_fields if not f.generated]

    def keys(self, values: Values, custom: Values) -> list[Key]:
        """What identifies a row, the strongest first; a row without any matches nothing."""
        found = []
        for column in self.columns:
            value = (custom if column.custom else values).get(column.path)
            if value is not None and value != "":
                found.append((column.name, folded(column, value)))
        return found

    def name_survivors(self, rows: Iterable[Values]) -> None:
        """Rows that name a record by the id that another system had for it before a merge are about the one
        it was merged into."""
        if EXTERNAL_ID not in {column.name for column in self.columns}:
            return
        naming = [row for row in rows if row.get(EXTERNAL_ID)]
        present = present_external_ids(self.entity, {row[EXTERNAL_ID] for row in naming})
        for row in naming if present else ():
            row[EXTERNAL_ID] = present.get(row[EXTERNAL_ID], row[EXTERNAL_ID])

    def find(self, keys: Iterable[Sequence[Key]]) -> dict[Key, list[Values]]:
        """Key → the stored records (by table column) that have it, locked where they are to be changed."""
        wanted: dict[str, set[Any]] = {}
        for row in keys:
            for name, value in row:
                wanted.setdefault(name, set()).add(value)
        ids: dict[Key, list[int]] = {}
        for column in self.columns:
            if column.name in wanted:
                for value, pk in self._pairs(column, wanted[column.name]):
                    ids.setdefault((column.name, folded(column, value)), []).append(pk)
        records = self._records(self._seen({pk for found in ids.values() for pk in found}))
        return {key: [records[pk] for pk in pks if pk in records] for key, pks in ids.items()}

    def _pairs(self, column: Column, values: set[Any]) -> list[tuple[Any, int]]:
        """(value, id) of all records that have one of these values. Nothing else is asked for here: a second
        condition might tempt the planner to another index."""
        rows = self.entity.model.objects.all()
        if column.custom:
            return rows_with_custom_values(rows, column, values)
        if column.field_type.empty_value == "":
            # Says what the partial index on the column says.
            rows = rows.exclude(**{column.path: ""})
        if column.unique:
            # So does this: the constraint holds among the living, and its index has no others.
            rows = rows.filter(archived_at=None)
        if is_folded(column):
            return rows_with_keys(rows, Fold(column.path), "text", values)
        field = self.entity.model._meta.get_field(column.name)
        return rows_with_keys(rows, F(column.path), field.rel_db_type(connection), values)

    def _seen(self, ids: set[int]) -> set[int]:
        """Those that the importer may see, or change."""
        action = Permission.CHANGE if self.for_update else Permission.VIEW
        return ids if self.user is None else permitted_ids(self.entity, self.user, action, ids)

    def _records(self, ids: set[int]) -> dict[int, Values]:
        """The records that are not archived, by id."""
        if not ids:
            return {}
        rows = self.entity.model.objects.filter(EqualsAny(F("pk"), ids)).order_by("pk")
        if self.for_update:
            rows = rows.select_for_update(of=("self",))
        found = (dict(zip(self.attnames, row, strict=True)) for row in rows.values_list(*self.attnames))
        return {record["id"]: record for record in found if record["archived_at"] is None}


def may_be_same(values: Values, other: Values) -> bool:
    """Whether two records may be one: not where other systems know them by different ids."""
    mine, theirs = values.get(EXTERNAL_ID), other.get(EXTERNAL_ID)
    return not mine or not theirs or mine == theirs


def rows_with_custom_values(rows: QuerySet, column: Column, values: Iterable[Any]) -> list[tuple[Any, int]]:
    """(value, id) of the rows that have one of these values in a custom field, by its index."""
    found: list[tuple[Any, int]] = []
    for part in batched(values, CUSTOM_AT_ONCE):
        wanted = Q()
        for value in part:
            wanted |= Q(custom_fields__contains={column.path: value})
        pairs = rows.filter(wanted).annotate(_key=KeyTransform(column.path, "custom_fields"))
        found += pairs.values_list("_key", "pk")
    return found


def batched(values: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of at most `size`."""
    left = iter(values)
    while part := list(islice(left, size)):
        yield part


def is_folded(column: Column) -> bool:
    """Names are compared without regard to case, accents and width; custom values exactly, by their index."""
    return column.folded and not column.custom


def folded(column: Column, value: Any) -> Any:
    return fold(value) if is_folded(column) and isinstance(value, str) else value


def prefer_indexes() -> None:
    """Inside an import the table grows faster than its statistics: never scan it row by row for a key."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL jit = off; SET CONSTRAINTS ALL IMMEDIATE")
