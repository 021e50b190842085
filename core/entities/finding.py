"""Full-text-like search and ordering of an entity's rows, as lists and exports use them."""

import json
import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import groupby
from operator import and_, or_
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.fields.array import ArrayContains  # type: ignore[attr-defined]  # no stub
from django.db.models import F, Q, QuerySet, TextField, Value
from django.db.models.expressions import OrderBy
from django.db.models.fields.json import KeyTextTransform
from django.db.models.lookups import Contains, Regex
from django.utils.translation import gettext as _

from core.entities import custom, field_types
from core.entities.columns import Column
from core.entities.entity import Entity
from core.entities.reading import pick
from core.errors import InvalidError
from core.models.folding import Fold, WordStarts, digits, fold, words_of
from core.models.record import HAS_CUSTOM_FIELDS, custom_text, search_text_without

MAX_SEARCH = 200
MAX_TERMS = 10
# A trigram index answers nothing shorter, but knows where words begin.
TRIGRAM = 3
# What stands before the beginning of a word: blanks and punctuation, those of ASCII alone. With any other
# character in the class, PostgreSQL takes no trigrams from the expression.
_WORD_START = r"[\t\n -/:-@\[-`{-~]"
_PUNCTUATION = re.compile(_WORD_START)
_TEXTS = ArrayField(TextField())
# Words of these scripts follow each other without blanks.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]"
)
_PHONE = re.compile(r"[\d()+./\s-]+")
MIN_PHONE = 3
# So much is left of a number without the zeros it is dialled with inside its country or out of it.
MIN_WITHOUT_ZEROS = 5


def search(entity: Entity, rows: QuerySet, text: str, fields: Collection[str] = ()) -> QuerySet:
    """Rows that hold every word of `text` in `fields` (else the entity's `search_fields`), whatever its case,
    accents or width.

    A trigram index answers. Words of one or two letters are looked for where words begin, by an index of
    these beginnings. Phone numbers are found however they are written: their digits are compared. Raises
    InvalidError for over-long input.
    """
    terms = check_search(text)
    names = [name for name in fields or entity.search_fields if name not in entity.hidden_paths]
    asks_custom = bool(terms) and "custom_fields" in names
    keys = [d.key for d in custom.definitions(entity) if d.searchable] if asks_custom else []
    for is_phone, group in groupby(terms, could_be_phone):
        for condition in _conditions(entity, list(group), names, keys, is_phone=is_phone):
            rows = rows.filter(condition)
    return rows


def check_search(text: str, parameter: str = "search") -> list[str]:
    """The words of a search. Raises InvalidError, about the parameter that holds it."""
    terms = text.split()
    if len(text) > MAX_SEARCH or len(terms) > MAX_TERMS or "\x00" in text:
        limits = _("At most %(max_search)s characters and %(max_terms)s words, without null characters.") % {
            "max_search": MAX_SEARCH,
            "max_terms": MAX_TERMS,
        }
        raise InvalidError.of(parameter, limits)
    return terms


def in_search_text(entity: Entity, made: Callable[[Any], Q]) -> Q:
    """A condition on the search text, which its index answers; where columns of it are hidden, it holds for
    what is left without them as well: a hit in what one may not see is none."""
    found, shown = made(F("search_text")), shown_search_text(entity)
    return found if isinstance(shown, F) else found & made(shown)


def shown_search_text(entity: Entity) -> Any:
    """The search text without the columns that are hidden; the stored one where none is."""
    hidden = entity.hidden_paths & words_of(entity.model) if entity.hidden_paths else frozenset()
    return search_text_without(entity.model, hidden) if hidden else F("search_text")


def _conditions(
    entity: Entity,
    terms: Sequence[str],
    names: Collection[str],
    custom_keys: Sequence[str],
    *,
    is_phone: bool,
) -> Iterator[Q]:
    held = [reduce(or_, (_holds(entity, name, term, custom_keys) for name in names)) for term in terms]
    number = phone_digits("".join(terms)) if is_phone else ""
    if number:
        yield reduce(and_, held) | in_search_text(entity, lambda text: Q(Contains(text, Value(number))))
    else:
        yield from held


def could_be_phone(text: str) -> bool:
    """Whether a text is digits and what stands between those of phone numbers."""
    return _PHONE.fullmatch(unicodedata.normalize("NFKC", text)) is not None


def phone_digits(text: str) -> str:
    """The digits that a stored number holds which somebody writes as `text`; "" for what is no number.

    Numbers are stored with their country's code, so the zeros before a number dialled inside its country
    ("030…") or abroad ("0049…"), and the one in "+44 (0)20…", are left out.
    """
    plain = unicodedata.normalize("NFKC", text)
    found = digits(plain.replace("(0)", ""))
    without = found.lstrip("0")
    found = without if len(without) >= MIN_WITHOUT_ZEROS else found
    return found if len(found) >= MIN_PHONE else ""


def number_in(column: Column, value: str) -> str:
    """The digits that are compared where part of a phone number is asked for; "" of anything else."""
    return (
        phone_digits(value)
        if isinstance(column.field_type, field_types.Phone) and could_be_phone(value)
        else ""
    )


def _holds(entity: Entity, name: str, term: str, custom_keys: Sequence[str]) -> Q:
    """Whether a column, or one of the custom fields of these keys, holds the term."""
    if name == "search_text":
        return in_search_text(entity, lambda text: _in_words(text, term))
    if name != "custom_fields":
        return _within(Fold(F(name)), term, f"^|{_WORD_START}")
    if not custom_keys:
        return Q(pk__in=[])
    values = [Fold(KeyTextTransform(key, "custom_fields")) for key in custom_keys]
    in_one = reduce(or_, (_within(value, term, f"^|{_WORD_START}") for value in values))
    # The index is of the whole JSON: what holds the word there, written as JSON writes it, is few.
    as_json = json.dumps(term, ensure_ascii=False)[1:-1]
    return HAS_CUSTOM_FIELDS & _within(custom_text(), as_json, rf"{_WORD_START}|\\[NRT]") & in_one


def _within(folded: Any, term: str, word_start: str) -> Q:
    """That a folded text holds the term or, of few letters, a word that begins with it."""
    if is_short(term):
        return Q(Regex(folded, f"({word_start}){quoted(fold(term))}"))
    # PostgreSQL folds the term as it did the column.
    return Q(Contains(folded, Fold(Value(term))))


def _in_words(text: Any, term: str) -> Q:
    """That a search text holds the term or, of few letters, a word that begins with it."""
    if is_short(term) and not _PUNCTUATION.search(fold(term)):
        return Q(ArrayContains(WordStarts(text), Value([fold(term)], _TEXTS)))
    return _within(text, term, _WORD_START)


def is_short(term: str) -> bool:
    """Whether a term is looked for where words begin, rather than anywhere in them."""
    folded = fold(term)
    return len(folded) < TRIGRAM and not _UNSPACED.search(folded)


def quoted(text: str) -> str:
    """The regular expression of PostgreSQL that means `text`."""
    return re.sub(r"[^\w\s]", r"\\\g<0>", text)


@dataclass(frozen=True)
class Order:
    """One column of an ordering; empty values come last in either direction."""

    column: Column
    descending: bool

    def by(self) -> OrderBy:
        return OrderBy(self.column.sort_key, descending=self.descending, nulls_last=self._nulls_last())

    def _nulls_last(self) -> bool | None:
        """Only where nulls can be: NULLS LAST on a plain index's descending scan would force a sort."""
        return True if self.may_be_empty else None

    @property
    def may_be_empty(self) -> bool:
        """Whether rows can be without a value."""
        return self.column.nullable or self.column.expression is not None


def ordering(entity: Entity, text: str, allowed: Collection[str] | None = None) -> list[Order]:
    """The ordering in `-created_at,last_name`, made unique by the id; `allowed` narrows the fields there are.
    Raises InvalidError."""
    names = (text or entity.ordering).split(",")
    columns = custom.schema(entity, names=[name.lstrip("-") for name in names])
    orderable = {n: c for n, c in columns.items() if c.orderable and (allowed is None or n in allowed)}
    picked = pick(orderable, [name.removeprefix("-") for name in names], "ordering")
    down = {name.removeprefix("-"): name.startswith("-") for name in names}
    orders = [Order(c, down[c.name]) for c in picked]
    if not any(o.column.name == "id" for o in orders):
        orders.append(Order(entity.by_name["id"], orders[0].descending))
    return orders
