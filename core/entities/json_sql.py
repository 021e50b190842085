"""Records as JSON made by PostgreSQL: what the API answers with, at a fraction of the cost of rows in Python.

A page is two statements: one finds ids with all filters and ordering, the other, the same text for everyone,
turns the columns of those ids into documents.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import orjson
from django.db import DEFAULT_DB_ALIAS
from django.db.models.fields.json import KeyTransform

from core import prepared
from core.entities.columns import Column
from core.entities.entity import Entity, entities
from core.entities.field_rights import FieldRights
from core.registry import Registry

Statement = tuple[str, tuple[Any, ...]]

# What documents of an entity may hold beside its columns, by "<entity>.<name>"; fixed at start-up too.
document_columns: Registry[Column] = Registry("column of documents")


def rows_as_json(
    entity: Entity, columns: Sequence[Column], ids: Iterable[int], using: str = DEFAULT_DB_ALIAS
) -> list[orjson.Fragment]:
    """One JSON object per id, in the order of the ids; ids that are gone are left out."""
    return [orjson.Fragment(text) for text in rows_as_text(entity, columns, ids, using)]


def rows_as_text(
    entity: Entity, columns: Sequence[Column], ids: Iterable[int], using: str = DEFAULT_DB_ALIAS
) -> list[str]:
    """As `rows_as_json`, still as text."""
    wanted = list(ids)
    if not wanted:
        return []
    sql, params = _statement_for(entity, columns)
    with prepared.cursor(using) as cursor:
        # Written here: psycopg's own dumping of a list looks at each item several times.
        cursor.execute(sql, [*params, f"{{{','.join(map(str, wanted))}}}"])
        return [row[0] for row in cursor.fetchall()]


def _statement_for(entity: Entity, columns: Sequence[Column]) -> Statement:
    if columns is entity.columns:
        return _whole(entity.name, entity.rights)
    # Definitions of custom fields come and go, and exports add cells; everything else is fixed at start-up.
    if any(
        c.custom or (c.name not in entity.by_name and _registered(entity, c.name) is not c) for c in columns
    ):
        return statement(entity, columns)
    return _kept(entity.name, entity.rights, tuple(c.name for c in columns))


@lru_cache(maxsize=64)
def _whole(name: str, rights: FieldRights) -> Statement:
    """That of all columns that these rights show."""
    entity = entities[name].limited(rights)
    return statement(entity, entity.columns)


@lru_cache(maxsize=256)
def _kept(name: str, rights: FieldRights, columns: tuple[str, ...]) -> Statement:
    entity = entities[name].limited(rights)
    return statement(
        entity, [entity.by_name.get(column) or _registered(entity, column) for column in columns]
    )


def _registered(entity: Entity, name: str) -> Any:
    return document_columns.get(f"{entity.name}.{name}")


def statement(entity: Entity, columns: Sequence[Column]) -> Statement:
    """The SQL that makes a document of each id in its last parameter, and its other parameters."""
    query = entity.model._default_manager.all().query
    compiler = query.get_compiler(DEFAULT_DB_ALIAS)
    quote = compiler.quote_name_unless_alias
    parts: list[str] = []
    params: list[Any] = []
    for column in columns:
        sql, more = compiler.compile(_source(column).resolve_expression(query))
        parts.append(f'{_pattern(column).format(sql)} AS "{column.name}"')
        params += more
    table = quote(entity.model._meta.db_table)
    return (
        # Names of tables and columns are the models' own; values are parameters.
        f"SELECT (SELECT row_to_json(shown) FROM (SELECT {', '.join(parts)}) AS shown)::text"  # noqa: S608
        f" FROM unnest(%s::bigint[]) WITH ORDINALITY AS wanted (id, place) JOIN {table}"
        f" ON {table}.id = wanted.id ORDER BY wanted.place",
        tuple(params),
    )


def _pattern(column: Column) -> str:
    """A custom value is stored as it is shown."""
    return "{}" if column.custom else column.field_type.json_sql


def _source(column: Column) -> Any:
    """A custom value as the JSON it is stored as; anything else as lists and filters see it."""
    return KeyTransform(column.path, "custom_fields") if column.custom else column.target
