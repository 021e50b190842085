"""What a global search finds, the likeliest first: exact values, then words, then words with typing errors.

Each stage is one statement over all entities, of which each gives no more rows than the page reaches to, in
its list's order; the entities take turns. A later stage is asked only where the earlier ones leave the page
short of hits, the last one only where they found nothing at all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from itertools import chain, zip_longest
from operator import or_
from typing import Any

from django.db import connection, transaction
from django.db.models import BooleanField, CharField, FloatField, Func, Q, QuerySet, Value
from django.db.models.lookups import Contains, Regex

from core.entities.entity import Entity
from core.entities.finding import (
    check_search,
    could_be_phone,
    in_search_text,
    is_short,
    phone_digits,
    quoted,
    search,
    shown_search_text,
)
from core.models.folding import Fold, fold

# Beyond this many hits nobody reads; a list's own search goes on.
MOST = 1_000
# How much of a word's trigrams the words of a record have to share, from 0 to 1.
SIMILARITY = 0.5
# A shorter number is a part of many.
WHOLE_NUMBER = 7
Matching = Callable[[Entity, Any], QuerySet]


@dataclass(frozen=True)
class Hit:
    """A record found, and by what: an exact value, words, or words like them."""

    entity: Entity
    pk: int
    match: str


def find(entities: Sequence[Entity], user: Any, text: str, most: int) -> list[Hit]:
    """Up to `most` live records that `user` sees, the likeliest first. Raises InvalidError."""
    terms = check_search(text)
    if not terms:
        return []
    found = _hits(entities, user, "exact", lambda entity, rows: _exact(entity, rows, text.strip()), most)
    if len(found) < most:
        words = _hits(entities, user, "words", lambda entity, rows: search(entity, rows, text), most)
        seen = {(hit.entity.name, hit.pk) for hit in found}
        found += [hit for hit in words if (hit.entity.name, hit.pk) not in seen]
    return found[:most] or _similar(entities, user, terms, most)


def _hits(
    entities: Sequence[Entity], user: Any, match: str, matching: Matching, most: int, order: str = "-pk"
) -> list[Hit]:
    """What is found by one statement; each entity in its order, and they take turns."""
    branches = []
    for entity in entities:
        rows = matching(entity, entity.visible_to(user).filter(archived_at=None))
        named = rows.annotate(found_in=Value(entity.name, output_field=CharField()))
        branches.append(named.order_by(order).values_list("found_in", "pk")[:most])
    if not branches:
        return []
    found: dict[str, list[int]] = {}
    for name, pk in branches[0].union(*branches[1:], all=True) if branches[1:] else branches[0]:
        found.setdefault(name, []).append(pk)
    named_entities = {entity.name: entity for entity in entities}
    turns = ([Hit(named_entities[name], pk, match) for pk in pks] for name, pks in found.items())
    return [hit for hit in chain.from_iterable(zip_longest(*turns)) if hit is not None]


def _exact(entity: Entity, rows: QuerySet, text: str) -> QuerySet:
    """The records of this id, external id, e-mail address or phone number."""
    conditions = [Q(external_id=text)]
    if text.isascii() and text.isdigit() and len(text) < 19:
        conditions.append(Q(pk=int(text)))
    number = phone_digits(text) if could_be_phone(text) else ""
    if len(number) >= WHOLE_NUMBER:
        # A number stands with its country's code, whether that is typed or not.
        conditions.append(_standing(entity, number, before=""))
    elif "@" in text:
        conditions.append(_standing(entity, text))
    return rows.filter(reduce(or_, conditions))


def _standing(entity: Entity, text: str, before: str = "(^|[ {,])") -> Q:
    """That `text` stands in the search text as a whole; its index answers the first of the two."""
    pattern = f"{before}{quoted(fold(text))}([ ,}}]|$)"
    return in_search_text(
        entity, lambda words: Q(Contains(words, Fold(Value(text)))) & Q(Regex(words, pattern))
    )


def _similar(entities: Sequence[Entity], user: Any, terms: Sequence[str], most: int) -> list[Hit]:
    """Records that have a word like each of the terms; a term of one or two letters is like too many."""
    words = [fold(term) for term in terms if not is_short(term)]
    if not words:
        return []

    def matching(entity: Entity, rows: QuerySet) -> QuerySet:
        text = shown_search_text(entity)
        likeness = sum((WordSimilarity(Value(word), text) for word in words), Value(0.0))
        for word in words:
            rows = rows.filter(in_search_text(entity, partial(_is_like, word)))
        return rows.annotate(likeness=likeness)

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('pg_trgm.word_similarity_threshold', %s, true)", [str(SIMILARITY)])
        return _hits(entities, user, "similar", matching, most, "-likeness")[:most]


def _is_like(word: str, text: Any) -> Q:
    return Q(IsLike(Value(word), text))


class WordSimilarity(Func):
    """How much of a word's trigrams the likest part of a text shares, from 0 to 1."""

    function = "word_similarity"
    output_field = FloatField()


class IsLike(Func):
    """Whether that is as much as the threshold; a trigram index answers."""

    template = "%(expressions)s"
    arg_joiner = " <%% "
    output_field = BooleanField()
    conditional = True
