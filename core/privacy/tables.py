"""The tables of a person's data: their columns of text, and the SQL that finds and rewrites their rows."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import connection, models

from core.personal_data import (
    RECORDS,
    RELATED,
    SHARED,
    Erasure,
    PersonalTable,
    address_columns,
    person_entities,
    personal_tables,
)

MARK = "[erased]"
_PARAMETER = re.compile(r"%\((\w+)\)s")
CHANGES = "core_change"
# Its columns that may hold something of a person, with their types, in the order of core_change_rewrite.
REWRITTEN = {"changes": "jsonb", "request_id": "text", "agent": "text"}
SHORT = 100
# Letters and digits are Unicode's, whatever the database was made with.
_UNICODE = 'COLLATE "pg_unicode_fast"'
# What is replaced in a row, by how it was found (core.privacy.subject.DataSubject.params).
PATTERNS = {"linked": "own", "shared": "own", "related": "named", "matching": "values"}


@dataclass(frozen=True)
class TableColumn:
    """A column that holds text: in itself, in JSON, in JSON that is kept as text ("written"), as a list."""

    name: str
    kind: str
    length: int | None
    may_be_blank: bool
    # Of a list of addresses one is left out; in any other a mark stands in its place.
    is_of_addresses: bool = False
    # The table's key, behind the mark where a unique constraint is about the column: two rows without the
    # person are not to be the same.
    distinguished_by: str = ""

    @property
    def text(self) -> str:
        """Its whole text in SQL."""
        value = f't."{self.name}"'
        return {"json": f"{value}::text", "list": f"array_to_string({value}, E'\\n')"}.get(self.kind, value)

    def redacted(self, how: str) -> str:
        """Its value without the person, in a row that was found so. Of short columns, which hold keys, kinds
        and numbers of other things, addresses go alone."""
        value = f't."{self.name}"'
        is_short = self.kind == "text" and self.length is not None and self.length <= SHORT
        pattern = "%(emails)s" if is_short else f"%({PATTERNS[how]})s"
        if self.kind == "json":
            return f"crm_redact({value}, {pattern}, %(values)s)"
        if self.kind == "list":
            return f"crm_redact({value}::text[], {pattern}, {str(self.is_of_addresses).lower()})"
        replaced = f"regexp_replace({value} {_UNICODE}, {pattern}, '{MARK}', 'gi')"
        if self.kind == "written":
            in_json = f"crm_redact({value}::jsonb, {pattern}, %(values)s)"
            changed = f"CASE WHEN {in_json} = {value}::jsonb THEN {value} ELSE {in_json}::text END"
            replaced = f"CASE WHEN pg_input_is_valid({value}, 'jsonb') THEN {changed} ELSE {replaced} END"
        return self._fitting(value, pattern, replaced)

    def _fitting(self, value: str, pattern: str, replaced: str) -> str:
        """What was replaced, as the column can hold it."""
        whole = f"{replaced} = '{MARK}'"
        fitting = f"left({replaced}, {self.length})" if self.length else replaced
        if self.distinguished_by:
            number = f"' ' || t.\"{self.distinguished_by}\""
            cut = f"left({replaced}, {self.length} - length({number}))" if self.length else replaced
            fitting = f"CASE WHEN {value} {_UNICODE} ~* {pattern} THEN {cut} || {number} ELSE {value} END"
        return f"CASE WHEN {whole} THEN '' ELSE {fitting} END" if self.may_be_blank else fitting

    @property
    def present(self) -> str:
        """Its value as it is, of the type that `redacted` has."""
        return f't."{self.name}"::text[]' if self.kind == "list" else f't."{self.name}"'


def text_columns(model: Any, registered: PersonalTable) -> Iterator[TableColumn]:
    """The columns of a model's table that hold text; generated ones follow those that they are made of."""
    unique = unique_fields(model)
    for field in model._meta.local_concrete_fields:
        if field.generated or field.is_relation or not (kind := _kind(field)):
            continue
        yield TableColumn(
            field.column,
            "written" if field.column in registered.json_texts else kind,
            getattr(field, "max_length", None),
            field.blank,
            field.column in registered.address_lists,
            model._meta.pk.column if field.name in unique else "",
        )


def unique_fields(model: Any) -> set[str]:
    """Names of the fields that a unique constraint is about, alone or with others."""
    constraints = [c for c in model._meta.constraints if isinstance(c, models.UniqueConstraint)]
    named = {name for constraint in constraints for name in constraint.fields}
    named |= {name for names in model._meta.unique_together for name in names}
    parts = (part for c in constraints for whole in c.expressions for part in _flat(whole))
    named |= {part.name for part in parts if isinstance(part, models.F)}  # type: ignore[attr-defined]
    return named | {field.name for field in model._meta.local_concrete_fields if field.unique}


def _flat(expression: Any) -> Iterator[Any]:
    return expression.flatten() if hasattr(expression, "flatten") else iter((expression,))


def _found_in_json(text: str) -> str:
    """The condition that the person stands in a text that may be JSON, where an escape is no letter."""
    in_json = f"crm_redact(({text})::jsonb, %(values)s, %(values)s) <> ({text})::jsonb"
    exact = f"{text} {_UNICODE} ~* %(values)s"
    exact = f"CASE WHEN pg_input_is_valid({text}, 'jsonb') THEN {in_json} ELSE {exact} END"
    return f"CASE WHEN {text} {_UNICODE} ~* %(anywhere)s THEN {exact} ELSE false END"


def _kind(field: models.Field) -> str:
    if isinstance(field, ArrayField):
        return "list" if _kind(field.base_field) == "text" else ""
    if isinstance(field, models.JSONField):
        return "json"
    return "text" if isinstance(field, models.CharField | models.TextField) else ""


@dataclass(frozen=True)
class SearchedTable:
    """A registered table with its model."""

    name: str
    registered: PersonalTable
    model: Any

    @property
    def pk(self) -> str:
        return str(self.model._meta.pk.column)

    @cached_property
    def columns(self) -> tuple[TableColumn, ...]:
        kept = {self.pk, *self.registered.kept, *self.addresses}
        columns = text_columns(self.model, self.registered)
        return tuple(column for column in columns if column.name not in kept)

    @property
    def addresses(self) -> set[str]:
        """The columns that say which addresses and numbers a row has."""
        holders = [one for one in (*address_columns, *person_entities) if one.table == self.name]
        return {column for one in holders for column in (*one.emails, *one.phones)}

    @property
    def is_of_persons(self) -> bool:
        """Whether the person's own records stand here, which are deleted as records are."""
        return self.registered.entity in person_entities

    @property
    def linked(self) -> str:
        """The condition of rows that belong to the person by what they refer to."""
        return self._or([*self._by_record(RECORDS), self._custom(self.registered.linked, RECORDS)])

    @property
    def shared(self) -> str:
        """The condition of rows about what the person has together with others."""
        return self._or([*self._by_record(SHARED), self._custom(self.registered.related, SHARED)])

    @property
    def related(self) -> str:
        """The condition of rows about records that are kept."""
        return self._or([*self._by_record(RELATED), self._custom(self.registered.related, RELATED)])

    @property
    def matching(self) -> str:
        """The condition of rows in which the person stands; of those with JSON or lists, of some more."""
        plain = [column.text for column in self.columns if column.kind == "text"]
        written = [column.text for column in self.columns if column.kind != "text"]
        read = [_found_in_json(text) for text in self.registered.read.values()]
        return self._or([self._finds(plain, "values"), self._finds(written, "anywhere"), *read])

    def _finds(self, texts: list[str], pattern: str) -> str:
        return f"concat_ws(E'\\n', {', '.join(texts)}) {_UNICODE} ~* %({pattern})s" if texts else ""

    @property
    def touched(self) -> str:
        return f"NOT ({self.registered.untouched})" if self.registered.untouched else "true"

    def _by_record(self, records: str) -> Iterator[str]:
        names = {field.name for field in self.model._meta.concrete_fields}
        if {"entity", "object_id"} <= names:
            yield f"(t.entity, t.object_id) IN (SELECT p.entity, p.id FROM {records})"  # noqa: S608
        if self.registered.entity:
            yield f"t.id IN (SELECT p.id FROM {records} WHERE p.entity = '{self.registered.entity}')"  # noqa: S608

    def _custom(self, condition: str, records: str) -> str:
        return f"({condition.format(records=records)})" if condition else ""

    def _or(self, conditions: list[str]) -> str:
        return " OR ".join(filter(None, conditions)) or "false"

    def rewritten(self, how: str, *, emptied: bool) -> dict[str, str]:
        """Column → the SQL of its new value in a row that was found so."""
        values = {column.name: column.redacted(how) for column in self.columns}
        return values | dict(self.registered.emptied) if emptied else values


@cache
def searched_tables() -> dict[str, SearchedTable]:
    """All of them in the order in which they are worked on: what hangs on records before these, so that it is
    found by them, and the change table last, for the others write to it."""
    models_by_table = {m._meta.db_table: m for m in apps.get_models(include_auto_created=True)}
    found = [
        SearchedTable(name, registered, models_by_table[name]) for name, registered in personal_tables.items()
    ]
    found.sort(key=lambda table: (table.name == CHANGES, table.is_of_persons, table.name))
    return {table.name: table for table in found}


# ---- Statements ----

_WINDOW = """
SELECT max(w.pk), count(*) FROM (
    SELECT t."{pk}" AS pk FROM {table} t {after} ORDER BY t."{pk}" LIMIT %(limit)s
) AS w
"""
_FOUND = """
SELECT f.pk, f.how FROM (
    SELECT t."{pk}" AS pk, CASE WHEN {shared} THEN 'shared' WHEN {linked} THEN 'linked'
        WHEN {related} THEN 'related' WHEN {matching} THEN 'matching' END AS how
    FROM {table} t WHERE t."{pk}" <= %(upto)s{after} AND {touched}
) AS f WHERE f.how IS NOT NULL ORDER BY f.pk
"""


def window(table: SearchedTable, after: Any, limit: int) -> tuple[Any, int]:
    """The last id of the next `limit` rows behind `after`, and how many rows these are."""
    condition = f'WHERE t."{table.pk}" > %(after)s' if after is not None else ""
    sql = _WINDOW.format(pk=table.pk, table=table.name, after=condition)
    with connection.cursor() as cursor:
        cursor.execute(sql, {"after": after, "limit": limit})
        return cursor.fetchone()


def rows_found(table: SearchedTable, after: Any, upto: Any, params: dict[str, Any]) -> dict[str, list[Any]]:
    """Ids of the rows behind `after` up to `upto`, by how they were found: PATTERNS."""
    sql = _FOUND.format(
        pk=table.pk,
        table=table.name,
        shared=table.shared,
        linked=table.linked,
        matching=table.matching,
        related=table.related,
        touched=table.touched,
        after=f' AND t."{table.pk}" > %(after)s' if after is not None else "",
    )
    found: dict[str, list[Any]] = {how: [] for how in PATTERNS}
    with connection.cursor() as cursor:
        cursor.execute(sql, {**params, "after": after, "upto": upto})
        for pk, how in cursor.fetchall():
            found[how].append(pk)
    return found


def lock_rows(table: SearchedTable, pks: list[Any]) -> None:
    """Until the transaction ends nothing else is hung on these."""
    with connection.cursor() as cursor:
        sql = f'SELECT FROM {table.name} WHERE "{table.pk}" = ANY(%s) ORDER BY "{table.pk}" FOR UPDATE'
        cursor.execute(sql, [pks])


def delete_rows(table: SearchedTable, pks: list[Any]) -> int:
    """Delete rows, and before them those of other tables that cannot be without them."""
    if not pks:
        return 0
    with connection.cursor() as cursor:
        for child, column in table.registered.children:
            cursor.execute(f"DELETE FROM {child} WHERE {column} = ANY(%s)", [pks])  # noqa: S608
        cursor.execute(f'DELETE FROM {table.name} WHERE "{table.pk}" = ANY(%s)', [pks])  # noqa: S608
        return cursor.rowcount


def rewrite_rows(
    table: SearchedTable, how: str, pks: list[Any], params: dict[str, Any], *, emptied: bool
) -> int:
    """Take the person out of rows that were found so; how many were not without already."""
    values = table.rewritten(how, emptied=emptied)
    if not pks or not values:
        return 0
    sets = ", ".join(f'"{name}" = {value}' for name, value in values.items())
    present = {column.name: column.present for column in table.columns}
    changed = " OR ".join(f"{present[name]} IS DISTINCT FROM {value}" for name, value in values.items())
    sql = f'UPDATE {table.name} t SET {sets} WHERE t."{table.pk}" = ANY(%(pks)s) AND ({changed})'  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(*_positional(sql, {**params, "pks": pks}))
        return cursor.rowcount


def rewrite_changes(
    table: SearchedTable, how: str, pks: list[Any], params: dict[str, Any], *, emptied: bool, request: int
) -> int:
    """The same of the change table, by the function of the database that seals it anew and says why."""
    values = {column.name: column.present for column in table.columns if column.name in REWRITTEN} | {
        name: v for name, v in table.rewritten(how, emptied=emptied).items() if name in REWRITTEN
    }
    news = ", ".join(f"({values[name]})::{kind} AS new_{name}" for name, kind in REWRITTEN.items())
    lists = ", ".join(f"array_agg(n.new_{name})" for name in REWRITTEN)
    differ = " OR ".join(f"n.new_{name} IS DISTINCT FROM n.{name}" for name in REWRITTEN)
    sql = (
        f"SELECT core_change_rewrite(array_agg(n.id), {lists}, %(request)s) FROM"  # noqa: S608
        f" (SELECT t.*, {news} FROM {table.name} t WHERE t.id = ANY(%(pks)s)) AS n WHERE {differ}"
        " HAVING count(*) > 0"
    )
    if not pks:
        return 0
    with connection.cursor() as cursor:
        # New values are computed from rows that no other erasure changes any more.
        cursor.execute("SELECT core_auditseal_lock()")
        cursor.execute(*_positional(sql, {**params, "pks": pks, "request": request}))
        row = cursor.fetchone()
        return int(row[0]) if row else 0


def hand_on(table: SearchedTable, pks: list[Any], params: dict[str, Any]) -> None:
    """Have shared rows stay with the others that they are about."""
    if pks and table.registered.handed_on:
        sql = table.registered.handed_on.format(records=RECORDS)
        with connection.cursor() as cursor:
            cursor.execute(*_positional(sql, {**params, "pks": pks}))


def _positional(sql: str, params: dict[str, Any]) -> tuple[str, list[Any]]:
    """The statement with parameters by their place: django-pgtrigger puts one before them where triggers are
    ignored."""
    names = _PARAMETER.findall(sql)
    return _PARAMETER.sub("%s", sql), [params[name] for name in names]


def erased_as(table: SearchedTable, how: str) -> Erasure:
    """What becomes of rows that were found so."""
    if how == "linked":
        return table.registered.on_link
    return table.registered.on_match if how == "matching" else Erasure.REDACT
