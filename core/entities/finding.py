"""Full-text-like search and ordering of an entity's rows, as lists and exports use them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from django.db.models import Q, QuerySet, Value
from django.db.models.expressions import OrderBy
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Upper
from django.db.models.lookups import Contains, IContains

from core.entities import custom
from core.entities.columns import Column
from core.entities.entity import Entity
from core.entities.reading import pick
from core.errors import InvalidError
from core.models.record import HAS_CUSTOM_FIELDS, custom_text

MAX_SEARCH = 200
MAX_TERMS = 10


def search(entity: Entity, rows: QuerySet, text: str) -> QuerySet:
    """Rows that hold every word of `text` somewhere in their searched columns, whatever the case.

    A trigram index answers words of three letters and more. Raises InvalidError for over-long input.
    """
    terms = check_search(text)
    searchable = [d.key for d in custom.definitions(entity) if d.searchable] if terms else []
    for term in terms:
        rows = rows.filter(_holds(term, searchable))
    return rows


def check_search(text: str) -> list[str]:
    """The words of a search. Raises InvalidError."""
    terms = text.split()
    if len(text) > MAX_SEARCH or len(terms) > MAX_TERMS or "\x00" in text:
        limits = f"At most {MAX_SEARCH} characters and {MAX_TERMS} words, without null characters."
        raise InvalidError.of("search", limits)
    return terms


def _holds(term: str, custom_keys: Sequence[str]) -> Q:
    # PostgreSQL upper-cases the term as it did the column; Python's rules differ for some letters.
    found = Q(search_text__contains=Upper(Value(term)))
    if not custom_keys:
        return found
    in_one = reduce(or_, (Q(IContains(KeyTextTransform(key, "custom_fields"), term)) for key in custom_keys))
    # The index is of the whole JSON: what holds the word there, written as JSON writes it, is few.
    as_json = json.dumps(term, ensure_ascii=False)[1:-1]
    return found | (HAS_CUSTOM_FIELDS & Q(Contains(custom_text(), Upper(Value(as_json)))) & in_one)


@dataclass(frozen=True)
class Order:
    """One column of an ordering; empty values come last in either direction."""

    column: Column
    descending: bool

    def by(self) -> OrderBy:
        return OrderBy(self.column.target, descending=self.descending, nulls_last=self._nulls_last())

    def _nulls_last(self) -> bool | None:
        """Only where nulls can be: NULLS LAST on a plain index's descending scan would force a sort."""
        return True if self.may_be_empty else None

    @property
    def may_be_empty(self) -> bool:
        """Whether rows can be without a value."""
        return self.column.nullable or self.column.expression is not None


def ordering(entity: Entity, text: str) -> list[Order]:
    """The ordering in `-created_at,last_name`, made unique by the id. Raises InvalidError."""
    names = (text or entity.ordering).split(",")
    columns = custom.schema(entity, names=[name.lstrip("-") for name in names])
    orderable = {name: c for name, c in columns.items() if c.orderable}
    picked = pick(orderable, [name.removeprefix("-") for name in names], "ordering")
    down = {name.removeprefix("-"): name.startswith("-") for name in names}
    orders = [Order(c, down[c.name]) for c in picked]
    if not any(o.column.name == "id" for o in orders):
        orders.append(Order(entity.by_name["id"], orders[0].descending))
    return orders
