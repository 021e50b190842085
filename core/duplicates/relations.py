"""What hangs on records: found in the models, moved to another record and back by few statements.

Every foreign key to the entity's model counts, and every table with columns `entity` and `object_id` that
does not say that its rows stay (core.entities.relation_transfer.not_moved). A row that the record it would
move to has already (who follows both) stays where it is.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.apps import apps
from django.db import connection, models

from core.duplicates.models import Merge
from core.entities import Entity, entities
from core.entities.relation_transfer import not_moved


@dataclass(frozen=True)
class Relation:
    """A column of a table that holds ids of records, of one entity alone (`entity` "") or of the named one.

    `unique` are sets of further columns within which a record occurs once.
    """

    model: type[models.Model]
    column: str
    entity: str = ""
    unique: tuple[tuple[str, ...], ...] = ()
    # Rows of the entity's own table: the merged records themselves do not move.
    is_own: bool = False

    @property
    def name(self) -> str:
        return f"{self.model._meta.label_lower}.{self.column}"

    @property
    def table(self) -> str:
        return self.model._meta.db_table

    @property
    def key(self) -> str:
        return str(self.model._meta.pk.column)

    def of_the_entity(self, alias: str) -> str:
        return f" AND {alias}.entity = %(entity)s" if self.entity else ""


def relations(entity: Entity) -> tuple[Relation, ...]:
    """Everything that may hang on the entity's records and goes with them."""
    return _relations(entity.name)


@cache
def _relations(name: str) -> tuple[Relation, ...]:
    return (*_foreign_keys(entities[name].model), *_tables_of_all(name))


def _foreign_keys(model: Any) -> Iterator[Relation]:
    for relation in model._meta.get_fields(include_hidden=True):
        if relation.auto_created and not relation.concrete and not relation.many_to_many:
            field = relation.field
            is_own = field.model is model
            yield Relation(field.model, field.column, unique=_unique(field.model, field), is_own=is_own)


def _tables_of_all(name: str) -> Iterator[Relation]:
    for model in apps.get_models():
        fields = {f.name: f for f in model._meta.concrete_fields}
        if {"entity", "object_id"} <= set(fields) and model._meta.label_lower not in not_moved:
            yield Relation(model, "object_id", entity=name, unique=_unique(model, fields["object_id"]))


def _unique(model: Any, field: Any) -> tuple[tuple[str, ...], ...]:
    """The other columns of each unique constraint that the column is part of; for an id that stands beside
    its entity, which is compared by itself, without that."""
    beside = {field.name, "entity"} if field.name == "object_id" else {field.name}
    named = [c.fields for c in model._meta.constraints if isinstance(c, models.UniqueConstraint)]
    named += [(field.name,)] if field.unique else []
    return tuple(
        tuple(model._meta.get_field(n).column for n in names if n not in beside)
        for names in (*named, *model._meta.unique_together)
        if field.name in names
    )


_MOVED = """
{name} AS (
    UPDATE {table} t SET {column} = %(survivor)s FROM {table} o
    WHERE o.{key} = t.{key} AND t.{column} = o.{column} AND o.{column} = ANY(%(merged)s){entity}{own}{free}
    RETURNING t.{key} AS id, o.{column} AS source
)"""
_NOTED = (
    "SELECT %(merge)s::bigint, '{relation}', source, array_agg(id ORDER BY id) FROM {name} GROUP BY source"
)
_FREE = """
    AND NOT EXISTS (SELECT 1 FROM {table} k WHERE {same}{entity} AND (
        k.{column} = %(survivor)s OR (k.{column} = ANY(%(merged)s) AND k.{key} < o.{key})))"""


def move(merge: Merge, entity: Entity) -> None:
    """Move all that hangs on the merged records to the survivor, and write down what was moved."""
    params: dict[str, Any] = {
        "merge": merge.pk,
        "survivor": merge.object_id,
        "merged": list(merge.merged_ids),
        "group": merge.record_ids,
        "entity": entity.name,
    }
    for together in _rounds(relations(entity)):
        moved = [_moved(f"moved_{n}", relation) for n, relation in enumerate(together)]
        noted = [_NOTED.format(relation=r.name, name=f"moved_{n}") for n, r in enumerate(together)]
        statement = (
            f"WITH {','.join(moved)} INSERT INTO core_mergemove (merge_id, relation, source_id, ids) "
            f"{' UNION ALL '.join(noted)}"
        )
        with connection.cursor() as cursor:
            cursor.execute(statement, params)


def _rounds(found: Sequence[Relation]) -> Iterator[list[Relation]]:
    """Relations of one statement: PostgreSQL updates no row twice in it, so each is of another table."""
    left = list(found)
    while left:
        tables: dict[str, Relation] = {}
        for relation in left:
            tables.setdefault(relation.table, relation)
        together = list(tables.values())
        left = [relation for relation in left if relation not in together]
        yield together


def _moved(name: str, relation: Relation) -> str:
    return _MOVED.format(
        name=name,
        table=relation.table,
        column=relation.column,
        key=relation.key,
        entity=relation.of_the_entity("o"),
        own=f" AND o.{relation.key} <> ALL(%(group)s)" if relation.is_own else "",
        free="".join(_free(relation, columns) for columns in relation.unique),
    )


def _free(relation: Relation, columns: Iterable[str]) -> str:
    same = " AND ".join(["true", *(f"k.{column} = o.{column}" for column in columns)])
    return _FREE.format(
        table=relation.table,
        same=same,
        entity=relation.of_the_entity("k"),
        column=relation.column,
        key=relation.key,
    )


_BACK = """
UPDATE {table} t SET {column} = m.source_id
FROM (SELECT source_id, unnest(ids) AS id FROM core_mergemove
      WHERE merge_id = %(merge)s AND relation = %(relation)s AND source_id = ANY(%(present)s)) m
WHERE t.{key} = m.id AND t.{column} = %(survivor)s{taken}
"""
_TAKEN = """
    AND NOT EXISTS (SELECT 1 FROM {table} k WHERE {same}{entity} AND k.{column} = m.source_id)"""


def move_back(merge: Merge, entity: Entity, present: Iterable[int]) -> None:
    """Give the records that are `present` back what the merge moved and still hangs on the survivor."""
    params: dict[str, Any] = {
        "merge": merge.pk,
        "survivor": merge.object_id,
        "present": list(present),
        "entity": entity.name,
    }
    moved = set(merge.moves.values_list("relation", flat=True))
    for relation in relations(entity):
        if relation.name in moved:
            with connection.cursor() as cursor:
                cursor.execute(_back(relation), params | {"relation": relation.name})


def _back(relation: Relation) -> str:
    taken = "".join(
        _TAKEN.format(
            table=relation.table,
            same=" AND ".join(["true", *(f"k.{c} = t.{c}" for c in columns)]),
            entity=relation.of_the_entity("k"),
            column=relation.column,
        )
        for columns in relation.unique
    )
    return _BACK.format(table=relation.table, column=relation.column, key=relation.key, taken=taken)
