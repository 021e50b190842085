"""What records are compared by to find those that are the same, as SQL for many records at once.

A comparison gives the keys of a record's values, and the conditions under which a stored row `r` has the key
`k.k0`, `k.k1` …, each of them answered by an index of its own.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection

from core.entities.field_types import BIGINT_MAX

Key = tuple[str, ...]
# Rows with one key that are looked at, for a single record and for each of many: a switchboard's number may
# stand in a hundred thousand.
AT_MOST, AT_MOST_EACH = 500, 20


@dataclass(frozen=True)
class RecordComparison(ABC):
    """Records are the same where they agree in `columns`. By those that are `always` asked a new record's
    possible duplicates are named, whatever rules there are."""

    name: str
    label: str
    columns: tuple[str, ...]
    always: bool = True
    # How sure it is that two that agree are the same, from 0 to 1.
    weight: float = 0.8
    # Whether it can also be asked for texts that are alike.
    may_be_fuzzy: ClassVar[bool] = False

    @property
    def field(self) -> str:
        """The field that an answer names."""
        return self.columns[0]

    def keys(self, values: Mapping[str, Any]) -> set[Key]:
        """What a record is found by: one key for each value there is."""
        return {(value,) for column in self.columns for value in _listed(values.get(column)) if value}

    def without(self, hidden: frozenset[str]) -> "RecordComparison | None":
        """The same for whom these columns are hidden from; None where it says nothing without them."""
        return self if hidden.isdisjoint(self.columns) else None

    @abstractmethod
    def conditions(self, model: Any, threshold: float | None) -> Iterator[str]:
        """SQL conditions under which the stored row `r` has the key; any of them suffices. With a `threshold`
        texts that are so much alike, from 0 to 1, have it too."""


class SameOneOf(RecordComparison):
    """The base of comparisons in which each column counts by itself."""

    def without(self, hidden: frozenset[str]) -> "RecordComparison | None":
        shown = tuple(column for column in self.columns if column not in hidden)
        return replace(self, columns=shown) if shown else None


class SameValue(SameOneOf):
    """One of the values is one of the other's; stored values are normalised already."""

    def conditions(self, model: Any, threshold: float | None) -> Iterator[str]:
        for column, array in _with_arrays(model, self.columns):
            yield (
                f"r.{column} @> ARRAY[k.k0]::{array}" if array else f"r.{column} = k.k0 AND r.{column} <> ''"
            )


class SamePhone(SameOneOf):
    """One of the numbers is one of the other's; one without a country is the same as with one."""

    def keys(self, values: Mapping[str, Any]) -> set[Key]:
        """What has no digit is no number, by the digits that the database reads; nor are noughts alone."""
        return {key for key in super().keys(values) if any("1" <= char <= "9" for char in key[0])}

    def conditions(self, model: Any, threshold: float | None) -> Iterator[str]:
        for column, array in _with_arrays(model, self.columns):
            if array:
                yield (
                    f"crm_phone_keys(r.{column}) @> ARRAY[crm_phone_key(k.k0)] AND EXISTS ("
                    f"SELECT FROM unnest(r.{column}) AS p WHERE crm_same_phone(p, k.k0))"
                )
            else:
                yield (
                    f"crm_phone_key(r.{column}) = crm_phone_key(k.k0) AND r.{column} <> ''"
                    f" AND (r.{column} = k.k0 OR crm_same_phone(r.{column}, k.k0))"
                )


@dataclass(frozen=True)
class SameText(RecordComparison):
    """All of the texts are the same but for case, accents and width; fuzzy: `parts`, each of columns that are
    read as one text, are as alike as a threshold from 0 to 1 says. The first part stands in the search text
    as it is here, whose index finds what is like it."""

    may_be_fuzzy: ClassVar[bool] = True
    parts: tuple[tuple[str, ...], ...] = ()

    def keys(self, values: Mapping[str, Any]) -> set[Key]:
        found = tuple(values.get(column) or "" for column in self.columns)
        return {found} if all(found) else set()

    def conditions(self, model: Any, threshold: float | None) -> Iterator[str]:
        places = {column: f"k.k{n}" for n, column in enumerate(self.columns)}
        if threshold is None:
            yield " AND ".join(f"crm_fold(r.{c}) = crm_fold({key})" for c, key in places.items())
            return
        alike = []
        for part in self.parts or tuple((column,) for column in self.columns):
            stored = " || ' ' || ".join(f"r.{column}" for column in part)
            asked = " || ' ' || ".join(places[column] for column in part)
            alike.append((f"crm_fold({stored})", f"crm_fold({asked})"))
        near = f"{alike[0][1]} <%% r.search_text"
        yield " AND ".join([near, *(f"similarity({a}, {b}) >= {float(threshold)}" for a, b in alike)])


class SameAddress(SameText):
    """Street and postal code are the same; the street (`columns[0]`) has an index (core.models.folding)."""

    may_be_fuzzy: ClassVar[bool] = False

    def conditions(self, model: Any, threshold: float | None) -> Iterator[str]:
        for condition in super().conditions(model, None):
            yield f"{condition} AND r.{self.columns[0]} <> ''"


# As entities with core.models.fields.Address name the columns. Many may live or work at one address.
SAME_ADDRESS = SameAddress("address", "address", ("address", "postal_code"), always=False, weight=0.5)
# Of a person, as their entities name the columns.
NAME_AND_COMPANY = SameText(
    "name_company",
    "name and company",
    ("first_name", "last_name", "company_name"),
    always=False,
    parts=(("first_name", "last_name"), ("company_name",)),
)


@dataclass(frozen=True)
class SameCustomValue(RecordComparison):
    """The same value in the custom field `columns[0]`, the key of the field."""

    @property
    def field(self) -> str:
        return self.name

    def keys(self, values: Mapping[str, Any]) -> set[Key]:
        key = self.columns[0]
        value = (values.get("custom_fields") or {}).get(key)
        return set() if value in (None, "", []) else {(json.dumps({key: value}, cls=DjangoJSONEncoder),)}

    def conditions(self, model: Any, threshold: float | None) -> Iterator[str]:
        yield "r.custom_fields @> k.k0::jsonb"


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else (value,)


def _with_arrays(model: Any, columns: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Columns of a table, and the SQL type of those that are arrays."""
    for column in columns:
        source = model._meta.get_field(column)
        yield column, (source.db_type(connection) or "") if isinstance(source, ArrayField) else ""


@dataclass(frozen=True)
class Question:
    """Records' keys by `given`, looked for in the living rows of `model` by `stored`: one comparison as two
    entities declare it. `threshold` asks for texts that are alike, `in_order` for rows before a record,
    `others` for all but the record itself."""

    given: RecordComparison
    stored: RecordComparison
    model: Any
    threshold: float | None = None
    in_order: bool = False
    others: bool = False

    @property
    def by_id(self) -> bool:
        """Whether the ids of the records matter."""
        return self.in_order or self.others


@lru_cache(maxsize=200)
def _keys_sql(question: Question, number: int) -> str:
    """The keys of one question as a table: each text of a key is an array, and so are the records' ids where
    they matter."""
    width = len(question.given.columns) if isinstance(question.given, SameText) else 1
    columns = [f"k{n}" for n in range(width)]
    arrays = ["%s::text[]"] * width
    if question.by_id:
        columns, arrays = ["own", *columns], ["%s::bigint[]", *arrays]
    return (
        f"asked{number} ({', '.join(columns)}, place) AS MATERIALIZED"  # noqa: S608
        f" (SELECT * FROM unnest({', '.join(arrays)}) WITH ORDINALITY)"
    )


@lru_cache(maxsize=200)
def _selects(question: Question, number: int, limit: int) -> tuple[str, ...]:
    """One statement for each condition."""
    table = connection.ops.quote_name(question.model._meta.db_table)
    which = " AND r.id < k.own" if question.in_order else " AND r.id <> k.own" if question.others else ""
    return tuple(
        f"SELECT {number}, k.place, f.id FROM asked{number} AS k"  # noqa: S608
        f" CROSS JOIN LATERAL (WITH found AS MATERIALIZED (SELECT r.id FROM {table} r WHERE {condition}"
        f" AND r.archived_at IS NULL{which}) SELECT id FROM found LIMIT {limit}) AS f"
        for condition in question.stored.conditions(question.model, question.threshold)
    )


def holders_sql(question: Question, keys: Sequence[Key], limit: int) -> tuple[str, list[Any]]:
    """The statement that gives the ids of living rows with any of the keys, `limit` of each at most, and its
    parameters."""
    columns = ", ".join(f"k{n}" for n in range(len(keys[0])))
    arrays = ", ".join(["%s::text[]"] * len(keys[0]))
    table = connection.ops.quote_name(question.model._meta.db_table)
    selects = " UNION ".join(
        f"SELECT f.id FROM asked AS k CROSS JOIN LATERAL (SELECT r.id FROM {table} r"  # noqa: S608
        f" WHERE {condition} AND r.archived_at IS NULL LIMIT {limit}) AS f"
        for condition in question.stored.conditions(question.model, question.threshold)
    )
    asked = f"asked ({columns}) AS MATERIALIZED (SELECT * FROM unnest({arrays}))"  # noqa: S608
    return f"WITH {asked} {selects}", [list(column) for column in zip(*keys, strict=True)]


@dataclass(frozen=True)
class KeyMatch:
    """A stored row that has a key of a record: places among the questions, the records and the keys that are
    asked for by one question, and its id."""

    question: int
    record: int
    key: int
    pk: int


@dataclass(frozen=True)
class ComparedRecords:
    """Records to be compared: their values by table column, and the ids of those that are stored."""

    records: Sequence[Mapping[str, Any]]
    ids: Sequence[int] = field(default_factory=list)

    def rows(self, comparison: RecordComparison) -> list[tuple[int, Key]]:
        """Place and key of each key."""
        return [
            (place, key)
            for place, values in enumerate(self.records)
            for key in sorted(comparison.keys(values))
        ]

    def own_id(self, place: int) -> int:
        """The id of a record; one that is not stored yet comes behind all that are."""
        return self.ids[place] if self.ids else BIGINT_MAX


def matches(questions: Sequence[Question], asked: ComparedRecords) -> list[KeyMatch]:
    """What is found by all questions for all records, by one statement."""
    keys: list[str] = []
    selects: list[str] = []
    params: list[Any] = []
    places: dict[int, list[int]] = {}
    limit = AT_MOST if len(asked.records) == 1 else AT_MOST_EACH
    for number, question in enumerate(questions):
        rows = asked.rows(question.given)
        if not rows:
            continue
        places[number] = [place for place, _ in rows]
        keys.append(_keys_sql(question, number))
        selects += _selects(question, number, limit)
        params += [[asked.own_id(place) for place in places[number]]] if question.by_id else []
        params += [list(column) for column in zip(*(key for _, key in rows), strict=True)]
    if not selects:
        return []
    union = " UNION ".join(f"({select})" for select in selects)
    with connection.cursor() as cursor:
        cursor.execute(f"WITH {', '.join(keys)} {union} ORDER BY 1, 2, 3", params)
        found = cursor.fetchall()
    return [KeyMatch(number, places[number][key - 1], key, pk) for number, key, pk in found]


def set_likeness(thresholds: Sequence[float]) -> None:
    """How alike a text must be for the index to find it, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('pg_trgm.word_similarity_threshold', %s, true)", [str(min(thresholds))]
        )
